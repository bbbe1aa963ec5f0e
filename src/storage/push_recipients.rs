//! Devices of a push that is being queued: locked in the order of their ids, each with a sequence of its pushes.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::batch::ROWS;
use super::entity::device::{Column, Entity};
use super::row::Row;
use super::{Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::text::{DeviceId, ProjectId};

/// Device that a push is about to be queued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRecipient {
    pub id: DeviceId,
    pub project: Option<ProjectId>,
    /// Sequence of the newest push to the device.
    pub push_sequence: i64,
}

/// Returns those of the devices that exist, by id, and locks them against other transactions that push to them.
///
/// The locks keep the sequences in the order of commits.
pub async fn lock(tx: &Tx, scope: TenantScope, ids: &[&str]) -> Result<Vec<PushRecipient>, StorageError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut locked = Vec::new();
    for ids in ids.chunks(ROWS) {
        let rows: Vec<(String, Option<String>, i64)> = Entity::find()
            .filter(Column::TenantId.eq(scope.tenant().get()))
            .filter(Column::DeviceId.is_in(ids.iter().copied()))
            .order_by_asc(Column::DeviceId)
            .lock_exclusive()
            .select_only()
            .columns([Column::DeviceId, Column::ProjectId, Column::PushSequence])
            .into_tuple()
            .all(tx.connection())
            .await?;
        for (id, project, push_sequence) in rows {
            let row = Row::of("devices", &id);
            locked.push(PushRecipient {
                project: row.column("project_id", project.map(ProjectId::parse).transpose())?,
                push_sequence,
                id: row.column("device_id", DeviceId::parse(&id))?,
            });
        }
    }
    Ok(locked)
}

/// Advances the sequence of each of these devices, which must be locked.
pub async fn advance_sequences(tx: &Tx, scope: TenantScope, ids: &[&str]) -> Result<(), StorageError> {
    for ids in ids.chunks(ROWS) {
        Entity::update_many()
            .col_expr(Column::PushSequence, Expr::col(Column::PushSequence).add(1))
            .filter(Column::TenantId.eq(scope.tenant().get()))
            .filter(Column::DeviceId.is_in(ids.iter().copied()))
            .exec(tx.connection())
            .await?;
    }
    Ok(())
}
