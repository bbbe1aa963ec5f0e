//! Node that each device is connected to.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entity::device::{Column, Entity};
use super::{Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;

/// Records that devices are connected to a node, in place of any other node. Unknown devices are skipped.
pub async fn set_connected(
    tx: &Tx,
    scope: TenantScope,
    devices: &[&str],
    node: Uuid,
) -> Result<(), StorageError> {
    write(tx, scope, devices, Expr::value(node), None).await
}

/// Records that devices are no longer connected to a node. Devices that are now connected to another node are
/// unchanged.
pub async fn set_disconnected(
    tx: &Tx,
    scope: TenantScope,
    devices: &[&str],
    node: Uuid,
) -> Result<(), StorageError> {
    let from = Column::ConnectedNode.eq(node);
    write(tx, scope, devices, Expr::value(None::<Uuid>), Some(from)).await
}

/// Locks the rows in the order of their ids before the update, like every writer of several devices.
async fn write(
    tx: &Tx,
    scope: TenantScope,
    devices: &[&str],
    node: SimpleExpr,
    condition: Option<SimpleExpr>,
) -> Result<(), StorageError> {
    let are_these = Column::TenantId
        .eq(scope.tenant().get())
        .and(Column::DeviceId.is_in(devices.iter().copied()));
    let locked: Vec<String> = Entity::find()
        .filter(are_these.clone())
        .order_by_asc(Column::DeviceId)
        .lock_exclusive()
        .select_only()
        .column(Column::DeviceId)
        .into_tuple()
        .all(tx.connection())
        .await?;
    if locked.is_empty() {
        return Ok(());
    }
    let mut update = Entity::update_many()
        .col_expr(Column::ConnectedNode, node)
        .filter(are_these);
    if let Some(condition) = condition {
        update = update.filter(condition);
    }
    update.exec(tx.connection()).await?;
    Ok(())
}
