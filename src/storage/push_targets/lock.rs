//! Row locks for writes of several targets.

use sea_orm::sea_query::{Asterisk, Expr, LockBehavior, LockType, Query, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use super::{Column, Entity, Model};
use crate::storage::{Reader, StorageError, Tx};
use slipway_domain::catalog::push::TargetKey;

pub(super) const KEY: [Column; 3] = [Column::TenantId, Column::DeviceId, Column::Sequence];

/// Locks these rows in the order of their keys and waits for other holders.
pub(super) async fn lock(tx: &Tx, condition: Condition) -> Result<Vec<Model>, StorageError> {
    let rows = Entity::find()
        .filter(condition)
        .order_by_asc(Column::TenantId)
        .order_by_asc(Column::DeviceId)
        .order_by_asc(Column::Sequence)
        .lock_exclusive()
        .all(tx.connection())
        .await?;
    Ok(rows)
}

/// Locks up to `limit` due rows, earliest first, and skips rows that another node has locked.
///
/// SQLite has a single writer and needs no locks.
pub(super) async fn lock_due(
    tx: &Tx,
    column: Column,
    condition: SimpleExpr,
    limit: u64,
) -> Result<Vec<Model>, StorageError> {
    let rows = Entity::find()
        .filter(condition)
        .order_by(column, Order::Asc)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.connection())
        .await?;
    Ok(rows)
}

/// Matches the rows with one of these keys, of which there must be at least one.
pub(super) fn is_one_of(keys: &[TargetKey]) -> SimpleExpr {
    let values = keys
        .iter()
        .map(|key| (key.tenant.get(), key.device.as_str().to_owned(), key.sequence));
    // SQLite accepts a list of rows only from a subquery.
    let listed = Query::select()
        .expr(Expr::col(Asterisk))
        .from_values(values, "keys")
        .to_owned();
    key_columns().in_subquery(listed)
}

/// Matches the rows whose key sorts after this one.
pub(super) fn is_after(key: &TargetKey) -> SimpleExpr {
    key_columns().gt(Expr::tuple([
        Expr::val(key.tenant.get()),
        Expr::val(key.device.as_str()),
        Expr::val(key.sequence),
    ]))
}

fn key_columns() -> SimpleExpr {
    Expr::tuple(KEY.map(|column| Expr::col((Entity, column))))
}

/// Returns the key of a row.
pub(super) fn of_model(model: &Model) -> Result<TargetKey, StorageError> {
    super::read_key(model.tenant_id, &model.device_id, model.sequence)
}

/// Returns a condition of one expression.
pub(super) fn when(expression: SimpleExpr) -> Condition {
    Condition::all().add(expression)
}

/// Matches the rows that are still open. The first condition enables the index of open rows.
pub(super) fn is_open_at(now: chrono::DateTime<chrono::Utc>) -> Condition {
    Condition::all()
        .add(Column::OpenUntil.is_not_null())
        .add(Column::OpenUntil.gt(now))
}
