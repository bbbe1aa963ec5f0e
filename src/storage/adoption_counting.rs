//! Times of the last counts of each tenant.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::entity::{adoption_count, tenant};
use super::row::Row;
use super::{Db, Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::instant::in_micros;

/// Lists up to `limit` tenants with numbers above `after` that were last counted at least `interval` ago, by number.
///
/// A count in the future by more than the interval comes from a wrong clock and does not prevent the next one.
pub async fn list_due(
    reader: &impl Reader,
    after: Option<TenantId>,
    now: DateTime<Utc>,
    interval: TimeDelta,
    limit: u64,
) -> Result<Vec<TenantScope>, StorageError> {
    let counted = adoption_count::Entity::find()
        .filter(adoption_count::Column::CountedAt.gt(in_micros(now - interval)))
        .filter(adoption_count::Column::CountedAt.lte(in_micros(now + interval)))
        .select_only()
        .column(adoption_count::Column::TenantId)
        .into_query();
    let numbers: Vec<i64> = tenant::Entity::find()
        .filter(tenant::Column::Id.not_in_subquery(counted))
        .apply_if(after, |tenants, after| {
            tenants.filter(tenant::Column::Id.gt(after.get()))
        })
        .order_by_asc(tenant::Column::Id)
        .limit(limit)
        .select_only()
        .column(tenant::Column::Id)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let scope = |number: i64| {
        let tenant = Row::of("tenants", number).column("id", TenantId::parse(number))?;
        Ok(TenantScope::internal(tenant))
    };
    numbers.into_iter().map(scope).collect()
}

/// Returns the time of the last count by version; `None` before the first.
pub async fn find_last(
    reader: &impl Reader,
    scope: TenantScope,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    let row = adoption_count::Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    Ok(row.map(|row| row.counted_at))
}

/// Records that the devices of a tenant have been counted by version.
pub async fn record_count(db: &Db, scope: TenantScope, now: DateTime<Utc>) -> Result<(), StorageError> {
    let counted = [adoption_count::Column::CountedAt];
    record(db, scope, now, None, &counted).await
}

/// Records that the devices of a tenant have been counted by version and by org node.
pub async fn record_node_count(db: &Db, scope: TenantScope, now: DateTime<Utc>) -> Result<(), StorageError> {
    let counted = [
        adoption_count::Column::CountedAt,
        adoption_count::Column::NodesCountedAt,
    ];
    record(db, scope, now, Some(in_micros(now)), &counted).await
}

async fn record(
    db: &Db,
    scope: TenantScope,
    now: DateTime<Utc>,
    nodes_counted_at: Option<DateTime<Utc>>,
    counted: &[adoption_count::Column],
) -> Result<(), StorageError> {
    use adoption_count::{Column, Entity, Model};
    let row = Model {
        tenant_id: scope.tenant().get(),
        counted_at: in_micros(now),
        nodes_counted_at,
    };
    let overwrite = OnConflict::column(Column::TenantId)
        .update_columns(counted.iter().copied())
        .to_owned();
    let write = db.begin_single_write().await?;
    Entity::insert(row.into_active_model())
        .on_conflict(overwrite)
        .exec_without_returning(write.connection())
        .await?;
    write.confirm().await
}
