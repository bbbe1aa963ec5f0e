//! Installed resources of devices, and the number of devices per version.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, IntoIden, OnConflict, SelectStatement};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};

use super::batch::{self, ROWS};
use super::entity::device_install::{Column, Entity, Model};
use super::entity::{app, deleted_app, device};
use super::reader::finds_more_than;
use super::row::Row;
use super::{CatalogTx, Db, Reader, StorageError, Tx, adoption, device_changes};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::install::{Install, InstallFilter, VersionCount};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::{DeviceId, Identifier, PackageName};
use slipway_domain::catalog::version::VersionCode;

/// Maximum number of installs, or of devices, that one page may count or sort.
pub(super) const FEW: u64 = 5_000;

/// Lists the installs of these devices, ordered by device, app and identifier.
pub async fn list_of_devices(
    reader: &impl Reader,
    scope: TenantScope,
    devices: &[&str],
) -> Result<Vec<Install>, StorageError> {
    list(reader, of_tenant(scope), devices).await
}

/// Lists the installs of these devices like [`list_of_devices`], including those of deleted apps.
pub async fn list_recorded(
    reader: &impl Reader,
    scope: TenantScope,
    devices: &[&str],
) -> Result<Vec<Install>, StorageError> {
    list(reader, recorded(scope), devices).await
}

async fn list(
    reader: &impl Reader,
    installs: Select<Entity>,
    devices: &[&str],
) -> Result<Vec<Install>, StorageError> {
    let mut found = Vec::new();
    for devices in devices.chunks(ROWS) {
        let rows = installs
            .clone()
            .filter(Column::DeviceId.is_in(devices.iter().copied()))
            .order_by_asc(Column::DeviceId)
            .order_by_asc(Column::PackageName)
            .order_by_asc(Column::Identifier)
            .all(reader.connection())
            .await?;
        for row in rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

/// Counts the devices per version of an app's resources, among installs reported since an instant.
///
/// The result is ordered by identifier, with the newest version first.
pub async fn count_versions(
    reader: &impl Reader,
    scope: TenantScope,
    package_name: &PackageName,
    identifier: Option<&Identifier>,
    since: DateTime<Utc>,
) -> Result<Vec<VersionCount>, StorageError> {
    let counts: Vec<(String, i64, i64)> = of_tenant(scope)
        .filter(Column::PackageName.eq(package_name.as_str()))
        .apply_if(identifier, |rows, identifier| {
            rows.filter(Column::Identifier.eq(identifier.as_str()))
        })
        .filter(Column::SeenAt.gte(since))
        .select_only()
        .columns([Column::Identifier, Column::VersionCode])
        .column_as(Column::DeviceId.count(), "devices")
        .group_by(Column::Identifier)
        .group_by(Column::VersionCode)
        .order_by_asc(Column::Identifier)
        .order_by_desc(Column::VersionCode)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of("device_installs", package_name);
    let read = |(identifier, version_code, devices): (String, i64, i64)| {
        Ok(VersionCount {
            identifier: row.column("identifier", Identifier::parse(identifier))?,
            version_code: row.column("version_code", VersionCode::new(version_code))?,
            devices: row.column("device_id", u64::try_from(devices))?,
        })
    };
    counts.into_iter().map(read).collect()
}

/// Writes installs reported by checks, each at most once. A report older than the stored one changes nothing.
pub async fn upsert(tx: &Tx, scope: TenantScope, mut installs: Vec<Install>) -> Result<(), StorageError> {
    installs.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
    let is_later =
        Expr::col((Entity, Column::SeenAt)).lte(Expr::col(("excluded".into_iden(), Column::SeenAt)));
    let overwrite = OnConflict::columns([
        Column::TenantId,
        Column::DeviceId,
        Column::PackageName,
        Column::Identifier,
    ])
    .update_columns([Column::AppId, Column::VersionCode, Column::SeenAt])
    .action_and_where(is_later)
    .to_owned();
    let rows = installs.into_iter().map(|install| write(scope, install));
    batch::upsert::<Entity>(tx, rows, &overwrite).await
}

/// Deletes an install that a device no longer has, unless a later check reported it.
pub async fn delete(tx: &Tx, scope: TenantScope, gone: &Install) -> Result<(), StorageError> {
    Entity::delete_many()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::DeviceId.eq(gone.device.as_str()))
        .filter(Column::PackageName.eq(gone.package_name.as_str()))
        .filter(Column::Identifier.eq(gone.identifier.as_str()))
        .filter(Column::SeenAt.lte(gone.seen_at))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Returns `true` if so few installs match a filter that a page may count or sort them.
pub async fn are_few(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &InstallFilter<'_>,
) -> Result<bool, StorageError> {
    let found = matching(recorded(scope), filter)
        .select_only()
        .column(Column::VersionCode)
        .order_by_asc(Column::Identifier)
        .order_by_asc(Column::VersionCode);
    Ok(!finds_more_than(reader, found.into_query(), FEW).await?)
}

/// Returns a query for the ids of the devices that match a filter.
pub(super) fn devices_with(scope: TenantScope, filter: &InstallFilter<'_>) -> SelectStatement {
    matching(of_tenant(scope), filter)
        .select_only()
        .column(Column::DeviceId)
        .into_query()
}

fn matching(installs: Select<Entity>, filter: &InstallFilter<'_>) -> Select<Entity> {
    installs
        .filter(Column::PackageName.eq(filter.package_name.as_str()))
        .apply_if(filter.identifier, |rows, identifier| {
            rows.filter(Column::Identifier.eq(identifier.as_str()))
        })
        .apply_if(filter.version_code, |rows, version| {
            rows.filter(Column::VersionCode.eq(version.get()))
        })
}

/// Returns a query for the install of a row of `devices` that matches a filter.
pub(super) fn has_install(
    backend: DbBackend,
    scope: TenantScope,
    filter: &InstallFilter<'_>,
) -> SelectStatement {
    let is_of_row = Expr::col((Entity, Column::DeviceId)).equals((device::Entity, device::Column::DeviceId));
    let mut found = devices_with(scope, filter);
    if backend == DbBackend::Postgres {
        // The offset keeps the conditions of the filter out of the inner query. Otherwise PostgreSQL may collect all
        // matches first, or, without statistics, search the installs of the app again for each device.
        let mut of_row = recorded(scope).into_query();
        of_row.and_where(is_of_row).offset(0);
        found.from_clear().from_subquery(of_row, Entity);
    } else {
        found.and_where(is_of_row);
    }
    found
}

/// Selects the installs of existing apps.
fn of_tenant(scope: TenantScope) -> Select<Entity> {
    let apps = app::Entity::find()
        .filter(app::Column::TenantId.eq(scope.tenant().get()))
        .select_only()
        .column(app::Column::Id)
        .into_query();
    recorded(scope).filter(Column::AppId.in_subquery(apps))
}

fn recorded(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

/// Schedules the removal of the installs of an app that is being deleted.
pub async fn remove_later(
    tx: &CatalogTx,
    app: AppId,
    package_name: &PackageName,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = deleted_app::Model {
        tenant_id: tx.tenant_id(),
        app_id: app.uuid(),
        package_name: package_name.as_str().to_owned(),
        deleted_at: in_micros(now),
    };
    deleted_app::Entity::insert(row.into_active_model())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Deletes up to `limit` installs of a deleted app and returns their number. Once none is left, deletes the app's
/// adoption in the same way.
///
/// Returns `None` once no app that was deleted before `since` is left. Nodes may write installs of a deleted app until
/// they learn of its deletion.
pub async fn remove_of_deleted(
    db: &Db,
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Option<u64>, StorageError> {
    let next = deleted_app::Entity::find()
        .filter(deleted_app::Column::DeletedAt.lt(since))
        .order_by_asc(deleted_app::Column::DeletedAt)
        .one(db.connection())
        .await?;
    let Some(deleted) = next else { return Ok(None) };
    let tx = db.begin().await?;
    // No check depends on the installs of a deleted app, so other nodes need no announcement.
    device_changes::begin_recording(&tx).await?;
    let some = Entity::find()
        .filter(Column::TenantId.eq(deleted.tenant_id))
        .filter(Column::PackageName.eq(deleted.package_name.as_str()))
        .filter(Column::AppId.eq(deleted.app_id))
        .order_by_asc(Column::DeviceId)
        .limit(limit)
        .all(tx.connection())
        .await?;
    let mut removed = 0;
    for rows in some.chunks(ROWS) {
        let devices = rows.iter().map(|row| row.device_id.as_str());
        removed += Entity::delete_many()
            .filter(Column::TenantId.eq(deleted.tenant_id))
            .filter(Column::DeviceId.is_in(devices))
            .filter(Column::PackageName.eq(deleted.package_name.as_str()))
            .filter(Column::AppId.eq(deleted.app_id))
            .exec(tx.connection())
            .await?
            .rows_affected;
    }
    if some.is_empty() && adoption::delete_of_app(&tx, deleted.tenant_id, deleted.app_id, limit).await? == 0 {
        deleted_app::Entity::delete_by_id((deleted.tenant_id, deleted.app_id))
            .exec(tx.connection())
            .await?;
    }
    device_changes::end_recording(&tx).await?;
    tx.commit().await?;
    Ok(Some(removed))
}

fn write(scope: TenantScope, install: Install) -> Model {
    Model {
        tenant_id: scope.tenant().get(),
        device_id: install.device.into_string(),
        app_id: install.app.map(AppId::uuid),
        package_name: install.package_name.into_string(),
        identifier: install.identifier.into_string(),
        version_code: install.version_code.get(),
        seen_at: in_micros(install.seen_at),
    }
}

fn read(model: Model) -> Result<Install, StorageError> {
    let row = Row::of("device_installs", &model.device_id);
    Ok(Install {
        app: model.app_id.map(AppId::from_uuid),
        package_name: row.column("package_name", PackageName::parse(model.package_name))?,
        identifier: row.column("identifier", Identifier::parse(model.identifier))?,
        version_code: row.column("version_code", VersionCode::new(model.version_code))?,
        seen_at: model.seen_at,
        device: row.column("device_id", DeviceId::parse(&model.device_id))?,
    })
}
