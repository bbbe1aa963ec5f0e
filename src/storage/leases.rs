//! Leases for work that one node does at a time.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{EntityTrait, ExprTrait, IntoActiveModel};

use super::entity::lease::{Column, Entity, Model};
use super::{Db, StorageError};
use slipway_domain::catalog::instant::in_micros;

/// Acquires the lease for `ttl`, or renews it for its holder. Returns `false` while another holder has it.
///
/// The nodes' clocks determine its expiry, so `ttl` must be far above their difference.
pub async fn try_acquire(
    db: &Db,
    name: &str,
    holder: &str,
    now: DateTime<Utc>,
    ttl: TimeDelta,
) -> Result<bool, StorageError> {
    let now = in_micros(now);
    let row = Model {
        name: name.to_owned(),
        holder: holder.to_owned(),
        expires_at: now + ttl,
    };
    let column = |column: Column| Expr::col((Entity, column));
    let is_free = column(Column::ExpiresAt).lte(now);
    let is_ours = column(Column::Holder).eq(holder);
    let replace = OnConflict::column(Column::Name)
        .update_columns([Column::Holder, Column::ExpiresAt])
        .action_and_where(is_free.or(is_ours))
        .to_owned();
    let write = db.begin_single_write().await?;
    let acquired = Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(write.connection())
        .await?;
    write.confirm().await?;
    Ok(acquired > 0)
}
