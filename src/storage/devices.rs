//! Devices. No check depends on them, so a plain [`Tx`] writes them.
//!
//! One statement writes several rows in the order of their keys, which prevents deadlocks between nodes that write the
//! same devices.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func, IntoIden, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use super::batch::{ROWS, upsert};
use super::device_filter::{self, of_tenant};
use super::entity::device::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_found_page};
use super::row::{Row, to_json};
use super::{Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::device::{
    Device, DeviceAttributes, DeviceEnrolment, DeviceFilter, DeviceSource, OrgInfo,
};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::{DeviceId, DeviceType, ProjectId};

/// Device with the times of its own reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub device: Device,
    pub first_seen_at: Option<DateTime<Utc>>,
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Node that the device is connected to, or was when that node was killed.
    pub connected_node: Option<Uuid>,
    /// Attributes from the device's enrolment.
    pub attributes: Option<DeviceAttributes>,
}

/// Device data from its last checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDevice {
    pub device: DeviceId,
    pub device_type: Option<DeviceType>,
    pub org_info: Option<OrgInfo>,
    pub seen_at: DateTime<Utc>,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: &DeviceId,
) -> Result<Option<DeviceRecord>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.as_str().to_owned()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Returns those of the devices that exist, in no particular order.
pub async fn find_many(
    reader: &impl Reader,
    scope: TenantScope,
    ids: &[&str],
) -> Result<Vec<DeviceRecord>, StorageError> {
    let mut found = Vec::new();
    for ids in ids.chunks(ROWS) {
        let rows = of_tenant(scope)
            .filter(Column::DeviceId.is_in(ids.iter().copied()))
            .all(reader.connection())
            .await?;
        for row in rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

/// Lists devices by id, bytewise. `nodes` are the running nodes.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &DeviceFilter<'_>,
    nodes: &[Uuid],
    page: &PageRequest,
) -> Result<Page<DeviceRecord>, StorageError> {
    let found = device_filter::select(reader, scope, filter, nodes).await?;
    let all = of_tenant(scope);
    let sort_by = SortBy::Ascending(Column::DeviceId);
    fetch_found_page(page, reader, found, all, sort_by, |row| row.device_id.clone())
        .await?
        .try_map(read)
}

/// Reads a device and locks it until the transaction ends.
pub async fn lock(tx: &Tx, scope: TenantScope, id: &DeviceId) -> Result<Option<DeviceRecord>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.as_str().to_owned()))
        .lock_exclusive()
        .one(tx.connection())
        .await?;
    row.map(read).transpose()
}

/// Counts the devices first seen by a check or an enrolment since an instant.
pub async fn count_new(
    reader: &impl Reader,
    scope: TenantScope,
    since: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let count = of_tenant(scope)
        .filter(Column::Source.eq(DeviceSource::Check.as_str()))
        .filter(Column::FirstSeenAt.gte(since))
        .count(reader.connection())
        .await?;
    Ok(count)
}

/// Inserts a device that reported itself. Returns `false` if the device already exists.
pub async fn insert_if_absent(
    tx: &Tx,
    scope: TenantScope,
    id: &DeviceId,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let row = Model {
        tenant_id: scope.tenant().get(),
        device_id: id.as_str().to_owned(),
        project_id: None,
        device_type: None,
        org_info: None,
        source: DeviceSource::Check.as_str().to_owned(),
        first_seen_at: Some(in_micros(now)),
        last_seen_at: Some(in_micros(now)),
        push_sequence: 0,
        connected_node: None,
        attributes: None,
    };
    let keep = OnConflict::columns([Column::TenantId, Column::DeviceId])
        .do_nothing()
        .to_owned();
    let inserted = Entity::insert(row.into_active_model())
        .on_conflict(keep)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(inserted > 0)
}

/// Writes the enrolment data of an existing device. Omitted fields keep their stored values.
pub async fn update_enrolled(
    tx: &Tx,
    scope: TenantScope,
    stored: &DeviceRecord,
    device: DeviceEnrolment,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let now = in_micros(now);
    let mut row = ActiveModel {
        tenant_id: Set(scope.tenant().get()),
        device_id: Set(device.id.into_string()),
        project_id: Set(Some(device.project.into_string())),
        first_seen_at: Set(Some(stored.first_seen_at.unwrap_or(now))),
        last_seen_at: Set(std::cmp::max(stored.last_seen_at, Some(now))),
        ..Default::default()
    };
    if let Some(device_type) = device.device_type {
        row.device_type = Set(Some(device_type.into_string()));
    }
    if let Some(org_info) = device.org_info {
        row.org_info = Set(Some(to_json(&org_info)));
    }
    if let Some(attributes) = device.attributes {
        row.attributes = Set(Some(to_json(&attributes)));
    }
    Entity::update(row)
        .validate()?
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Deletes a device with its installs, codes and push targets.
pub async fn delete(tx: &Tx, scope: TenantScope, id: &DeviceId) -> Result<(), StorageError> {
    Entity::delete_by_id((scope.tenant().get(), id.as_str().to_owned()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Writes device data from checks, each device at most once.
///
/// Data older than the stored data changes nothing. Omitted fields keep their stored values.
pub async fn upsert_seen(tx: &Tx, scope: TenantScope, mut seen: Vec<SeenDevice>) -> Result<(), StorageError> {
    seen.sort_unstable_by(|a, b| a.device.cmp(&b.device));
    let is_later = stored(Column::LastSeenAt)
        .is_null()
        .or(stored(Column::LastSeenAt).lte(given(Column::LastSeenAt)));
    let first_seen_at = Func::coalesce([stored(Column::FirstSeenAt), given(Column::FirstSeenAt)]);
    let overwrite = keeping_what_is_left_out()
        .value(Column::FirstSeenAt, first_seen_at)
        .update_column(Column::LastSeenAt)
        .action_and_where(is_later)
        .to_owned();
    let rows = seen.into_iter().map(|seen| Model {
        tenant_id: scope.tenant().get(),
        device_id: seen.device.into_string(),
        project_id: None,
        device_type: seen.device_type.map(DeviceType::into_string),
        org_info: seen.org_info.as_ref().map(to_json),
        source: DeviceSource::Check.as_str().to_owned(),
        first_seen_at: Some(in_micros(seen.seen_at)),
        last_seen_at: Some(in_micros(seen.seen_at)),
        push_sequence: 0,
        connected_node: None,
        attributes: None,
    });
    upsert::<Entity>(tx, rows, &overwrite).await
}

/// Writes imported devices, each at most once.
///
/// Omitted fields keep their stored values. An import does not change the times at which a device was seen.
pub async fn upsert_imported(
    tx: &Tx,
    scope: TenantScope,
    mut devices: Vec<Device>,
) -> Result<(), StorageError> {
    devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let overwrite = keeping_what_is_left_out()
        .value(
            Column::ProjectId,
            Func::coalesce([given(Column::ProjectId), stored(Column::ProjectId)]),
        )
        .to_owned();
    let rows = devices.into_iter().map(|device| Model {
        tenant_id: scope.tenant().get(),
        device_id: device.id.into_string(),
        project_id: device.project.map(ProjectId::into_string),
        device_type: device.device_type.map(DeviceType::into_string),
        org_info: device.org_info.as_ref().map(to_json),
        source: DeviceSource::Import.as_str().to_owned(),
        first_seen_at: None,
        last_seen_at: None,
        push_sequence: 0,
        connected_node: None,
        attributes: None,
    });
    upsert::<Entity>(tx, rows, &overwrite).await
}

fn keeping_what_is_left_out() -> OnConflict {
    let mut overwrite = OnConflict::columns([Column::TenantId, Column::DeviceId]);
    for column in [Column::DeviceType, Column::OrgInfo] {
        overwrite.value(column, Func::coalesce([given(column), stored(column)]));
    }
    overwrite
}

/// Returns the value of the row to be inserted.
fn given(column: Column) -> SimpleExpr {
    Expr::col(("excluded".into_iden(), column))
}

/// Returns the value of the existing row.
fn stored(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

fn read(model: Model) -> Result<DeviceRecord, StorageError> {
    let row = Row::of("devices", &model.device_id);
    let org_info = model.org_info.as_deref().map(serde_json::from_str).transpose();
    let attributes = model.attributes.as_deref().map(serde_json::from_str).transpose();
    Ok(DeviceRecord {
        device: Device {
            project: row.column("project_id", model.project_id.map(ProjectId::parse).transpose())?,
            device_type: row.column(
                "device_type",
                model.device_type.map(DeviceType::parse).transpose(),
            )?,
            org_info: row.column("org_info", org_info)?,
            id: row.column("device_id", DeviceId::parse(&model.device_id))?,
        },
        first_seen_at: model.first_seen_at,
        last_seen_at: model.last_seen_at,
        connected_node: model.connected_node,
        attributes: row.column("attributes", attributes)?,
    })
}
