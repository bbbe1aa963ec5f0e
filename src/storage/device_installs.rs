//! What is installed on devices, and how many have each version.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, IntoIden, OnConflict, SelectStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::entity::device_install::{Column, Entity, Model};
use super::many::{self, ROWS};
use super::row::Row;
use super::{Reader, StorageError, Tx, in_micros};
use crate::access::TenantScope;
use crate::catalog::text::{DeviceId, Identifier, PackageName};
use crate::catalog::version::VersionCode;

/// A resource on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    pub device: DeviceId,
    pub package_name: PackageName,
    pub identifier: Identifier,
    pub version_code: VersionCode,
    /// When a check told so first on that day, or last changed it.
    pub seen_at: DateTime<Utc>,
}

impl Install {
    fn key(&self) -> (&DeviceId, &PackageName, &Identifier) {
        (&self.device, &self.package_name, &self.identifier)
    }
}

/// An app, a resource or a version that a device must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFilter<'a> {
    pub package_name: &'a PackageName,
    pub identifier: Option<&'a Identifier>,
    pub version_code: Option<VersionCode>,
}

/// How many devices have a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCount {
    pub identifier: Identifier,
    pub version_code: VersionCode,
    pub devices: u64,
}

/// What these devices have, in the order of device, app and identifier.
pub async fn list_of_devices(
    reader: &impl Reader,
    scope: TenantScope,
    devices: &[&str],
) -> Result<Vec<Install>, StorageError> {
    let mut found = Vec::new();
    for devices in devices.chunks(ROWS) {
        let rows = of_tenant(scope)
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

/// The devices of each version of an app's resources that told of it since an instant; by identifier, the newest
/// version first.
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
            version_code,
            devices: row.column("device_id", u64::try_from(devices))?,
        })
    };
    counts.into_iter().map(read).collect()
}

/// Writes what checks told; each install once. What was seen before what is stored changes nothing.
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
    .update_columns([Column::VersionCode, Column::SeenAt])
    .action_and_where(is_later)
    .to_owned();
    let rows = installs.into_iter().map(|install| write(scope, install));
    many::upsert::<Entity>(tx, rows, &overwrite).await
}

/// Removes what a device no longer has, unless a later check saw it there.
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

/// The ids of the devices that have something.
pub(super) fn devices_with(scope: TenantScope, filter: &InstallFilter<'_>) -> SelectStatement {
    of_tenant(scope)
        .filter(Column::PackageName.eq(filter.package_name.as_str()))
        .apply_if(filter.identifier, |rows, identifier| {
            rows.filter(Column::Identifier.eq(identifier.as_str()))
        })
        .apply_if(filter.version_code, |rows, version| {
            rows.filter(Column::VersionCode.eq(version))
        })
        .select_only()
        .column(Column::DeviceId)
        .into_query()
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn write(scope: TenantScope, install: Install) -> Model {
    Model {
        tenant_id: scope.tenant().get(),
        device_id: install.device.into_string(),
        package_name: install.package_name.into_string(),
        identifier: install.identifier.into_string(),
        version_code: install.version_code,
        seen_at: in_micros(install.seen_at),
    }
}

fn read(model: Model) -> Result<Install, StorageError> {
    let row = Row::of("device_installs", &model.device_id);
    Ok(Install {
        package_name: row.column("package_name", PackageName::parse(model.package_name))?,
        identifier: row.column("identifier", Identifier::parse(model.identifier))?,
        version_code: model.version_code,
        seen_at: model.seen_at,
        device: row.column("device_id", DeviceId::parse(&model.device_id))?,
    })
}
