//! Counts of devices by version and by org place, in steps that are bounded regardless of the number of devices.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
};

use super::entity::{adoption_count, device, device_install, tenant};
use super::row::Row;
use super::{Backend, Db, ReadTx, Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::OrgInfo;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::install::VersionCount;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

/// Makes this transaction read rows in the order of an index.
const BY_INDEX_SQL: &str = "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), \
     set_config('enable_seqscan', 'off', true)";

/// Lets this transaction read rows in any order again.
const IN_ANY_ORDER_SQL: &str = "SELECT set_config('enable_sort', 'on', true), set_config('enable_bitmapscan', 'on', true), \
     set_config('enable_seqscan', 'on', true)";

/// Number of devices on a version of an app's resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppVersionCount {
    pub app: AppId,
    pub count: VersionCount,
}

/// Counts of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedStep {
    pub counts: Vec<AppVersionCount>,
    /// Last device of the step; `None` after the last step.
    pub last_device: Option<String>,
}

/// Counts the devices per version among the next installs, ordered by device, that were reported since an instant.
///
/// A step has about `installs` installs: those of one device are counted together. As a device is part of one step only,
/// a device that changes meanwhile is counted once.
pub async fn count_step(
    db: &Db,
    scope: TenantScope,
    after: Option<&str>,
    since: DateTime<Utc>,
    installs: u64,
) -> Result<CountedStep, StorageError> {
    use device_install::Column;
    let reader = begin_step(db).await?;
    let rows = device_install::Entity::find().filter(Column::TenantId.eq(scope.tenant().get()));
    let (step, last_device) = next_step(&reader, rows, Column::DeviceId, after, installs).await?;
    Ok(CountedStep {
        counts: count_by_version(&reader, scope, step.filter(Column::SeenAt.gte(since))).await?,
        last_device,
    })
}

/// Returns the rows of the next step after a device, and the last device of the step; `None` after the last step.
///
/// The step ends with the device of row number `size`, and contains all rows of that device.
async fn next_step<E: EntityTrait>(
    reader: &ReadTx,
    rows: Select<E>,
    device_id: E::Column,
    after: Option<&str>,
    size: u64,
) -> Result<(Select<E>, Option<String>), StorageError> {
    let rest = rows.apply_if(after, |rows, after| rows.filter(device_id.gt(after)));
    let last_device: Option<String> = rest
        .clone()
        .select_only()
        .column(device_id)
        .order_by_asc(device_id)
        .limit(1)
        .offset(size.saturating_sub(1))
        .into_tuple()
        .one(reader.connection())
        .await?;
    let step = rest.apply_if(last_device.as_deref(), |rows, last| {
        rows.filter(device_id.lte(last))
    });
    let connection = reader.connection();
    if connection.get_database_backend() == DbBackend::Postgres {
        // In the order of the index, the rows of a step are anywhere in the table.
        connection.execute_unprepared(IN_ANY_ORDER_SQL).await?;
    }
    Ok((step, last_device))
}

/// Devices with the same places in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceCount {
    pub places: Option<OrgInfo>,
    pub devices: u64,
}

/// Counts of devices by place in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceStep {
    pub counts: Vec<PlaceCount>,
    /// Last device of the step; `None` after the last step.
    pub last_device: Option<String>,
}

/// Counts the next `devices` devices, ordered by id, by their org places.
pub async fn count_places(
    db: &Db,
    scope: TenantScope,
    after: Option<&str>,
    devices: u64,
) -> Result<PlaceStep, StorageError> {
    use device::Column;
    let reader = begin_step(db).await?;
    let rows = device::Entity::find().filter(Column::TenantId.eq(scope.tenant().get()));
    let (step, last_device) = next_step(&reader, rows, Column::DeviceId, after, devices).await?;
    let counts: Vec<(Option<String>, i64)> = step
        .select_only()
        .column(Column::OrgInfo)
        .column_as(Column::DeviceId.count(), "devices")
        .group_by(Column::OrgInfo)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of("devices", scope.tenant());
    let read = |(places, devices): (Option<String>, i64)| {
        let places = places.as_deref().map(serde_json::from_str).transpose();
        Ok(PlaceCount {
            places: row.column("org_info", places)?,
            devices: row.column("device_id", u64::try_from(devices))?,
        })
    };
    Ok(PlaceStep {
        counts: counts
            .into_iter()
            .map(read)
            .collect::<Result<_, StorageError>>()?,
        last_device,
    })
}

/// Begins the reads of a step.
///
/// Without statistics of a table, after a restore for instance, PostgreSQL would sort all remaining rows in each step.
async fn begin_step(db: &Db) -> Result<ReadTx, StorageError> {
    let reader = db.begin_read().await?;
    if db.backend() == Backend::Postgres {
        reader.connection().execute_unprepared(BY_INDEX_SQL).await?;
    }
    Ok(reader)
}

async fn count_by_version(
    reader: &impl Reader,
    scope: TenantScope,
    installs: Select<device_install::Entity>,
) -> Result<Vec<AppVersionCount>, StorageError> {
    use device_install::Column;
    let counts: Vec<(Uuid, String, i64, i64)> = installs
        .filter(Column::AppId.is_not_null())
        .select_only()
        .columns([Column::AppId, Column::Identifier, Column::VersionCode])
        .column_as(Column::DeviceId.count(), "devices")
        .group_by(Column::AppId)
        .group_by(Column::Identifier)
        .group_by(Column::VersionCode)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of("device_installs", scope.tenant());
    let read = |(app, identifier, version_code, devices): (Uuid, String, i64, i64)| {
        Ok(AppVersionCount {
            app: AppId::from_uuid(app),
            count: VersionCount {
                identifier: row.column("identifier", Identifier::parse(identifier))?,
                version_code: row.column("version_code", VersionCode::new(version_code))?,
                devices: row.column("device_id", u64::try_from(devices))?,
            },
        })
    };
    counts.into_iter().map(read).collect()
}

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
