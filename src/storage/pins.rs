//! Pins of tenants.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait as _, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};

use super::entity::pin::{Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::reader::Connection as _;
use super::row::{Row, models, to_json};
use super::selection::AppSelection;
use super::versioned::first_version;
use super::{CatalogTx, Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::{AppId, PinId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::org::OrgCode;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::pin::{Pin, PinMode, PinModeError, PinTarget};
use slipway_domain::catalog::text::{DeviceId, Identifier, Reason};
use slipway_domain::catalog::version::VersionCode;
use slipway_domain::catalog::versioned::Versioned;

/// Filter for a list of a tenant's pins. An absent field matches every pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinFilter<'a> {
    pub app: Option<AppId>,
    pub identifier: Option<&'a Identifier>,
    pub target: Option<&'a PinTarget>,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: PinId,
) -> Result<Option<Versioned<Pin>>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Finds the pin of a resource for a target.
pub async fn find_by_target(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
    target: &PinTarget,
) -> Result<Option<Versioned<Pin>>, StorageError> {
    let row = of_tenant(scope)
        .filter(Column::AppId.eq(app.uuid()))
        .filter(Column::Identifier.eq(identifier.as_str()))
        .filter(Column::TargetKey.eq(target.key()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Lists the pins of a tenant in order of creation.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    filter: &PinFilter<'_>,
    page: &PageRequest,
) -> Result<Page<Versioned<Pin>>, StorageError> {
    let rows = of_tenant(scope)
        .apply_if(filter.app, |rows, app| rows.filter(Column::AppId.eq(app.uuid())))
        .apply_if(filter.identifier, |rows, identifier| {
            rows.filter(Column::Identifier.eq(identifier.as_str()))
        })
        .apply_if(filter.target, |rows, target| {
            rows.filter(Column::TargetKey.eq(target.key()))
        });
    fetch_page(page, reader, rows, SortBy::Ascending(Column::Id), |row| row.id)
        .await?
        .try_map(read)
}

/// Lists up to `limit` pins on each of these targets, newest first.
pub async fn list_of_targets(
    reader: &impl Reader,
    scope: TenantScope,
    targets: &[PinTarget],
    limit: u64,
) -> Result<Vec<Vec<Versioned<Pin>>>, StorageError> {
    let connection = reader.connection();
    // One query for each target reads an index in its order. A query for all of them would sort their pins.
    let of_target = |target: &PinTarget| {
        of_tenant(scope)
            .filter(Column::TargetKey.eq(target.key()))
            .order_by_desc(Column::Id)
            .limit(limit)
            .build(connection.get_database_backend())
    };
    let queries = targets.iter().map(of_target).collect();
    let mut pins = Vec::with_capacity(targets.len());
    for rows in connection.query_together(queries).await? {
        pins.push(models(&rows)?.into_iter().map(read).collect::<Result<_, _>>()?);
    }
    Ok(pins)
}

/// Selects all pins of these apps in order of creation.
pub(super) fn all_of(apps: &AppSelection<'_>) -> Select<Entity> {
    Entity::find()
        .filter(apps.condition(Column::TenantId, Column::AppId))
        .order_by_asc(Column::Id)
}

/// Selects the pins of these resources of an app, in order of creation.
pub(super) fn some_of(scope: TenantScope, app: AppId, identifiers: &[String]) -> Select<Entity> {
    of_tenant(scope)
        .filter(Column::AppId.eq(app.uuid()))
        .filter(Column::Identifier.is_in(identifiers))
        .order_by_asc(Column::Id)
}

/// Reads a row of [`all_of`] or of [`some_of`].
pub(super) fn read_one(row: &QueryResult) -> Result<Pin, StorageError> {
    Ok(read(Model::from_query_result(row, "")?)?.value)
}

/// Writes the pin of a target. An existing pin is replaced and keeps its id, which the result contains.
pub async fn upsert(
    tx: &CatalogTx,
    mut value: Pin,
    now: DateTime<Utc>,
) -> Result<Versioned<Pin>, StorageError> {
    tx.mark_releases_changed(value.app_id, &value.identifier);
    value.expires_at = value.expires_at.map(in_micros);
    let row = write(tx.tenant_id(), &first_version(value, now)).into_active_model();
    let replace = OnConflict::columns([
        Column::TenantId,
        Column::AppId,
        Column::Identifier,
        Column::TargetKey,
    ])
    .update_columns([
        Column::Mode,
        Column::VersionCode,
        Column::Reason,
        Column::ExpiresAt,
        Column::Etag,
        Column::UpdatedAt,
    ])
    .to_owned();
    let row = Entity::insert(row)
        .on_conflict(replace)
        .exec_with_returning(tx.connection())
        .await?;
    read(row)
}

/// Deletes a pin. Returns `true` if the pin existed.
pub async fn delete(tx: &CatalogTx, pin: &Pin) -> Result<bool, StorageError> {
    tx.mark_releases_changed(pin.app_id, &pin.identifier);
    let deleted = Entity::delete_many()
        .filter(Column::TenantId.eq(tx.tenant_id()))
        .filter(Column::AppId.eq(pin.app_id.uuid()))
        .filter(Column::Id.eq(pin.id.uuid()))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn write(tenant_id: i64, stored: &Versioned<Pin>) -> Model {
    let pin = &stored.value;
    let (device_id, org_path) = match &pin.target {
        PinTarget::Device(id) => (Some(id.as_str().to_owned()), None),
        PinTarget::OrgNode(path) => (None, Some(to_json(path))),
    };
    Model {
        tenant_id,
        id: pin.id.uuid(),
        app_id: pin.app_id.uuid(),
        identifier: pin.identifier.as_str().to_owned(),
        target_key: pin.target.key(),
        device_id,
        org_path,
        mode: pin.mode.name().to_owned(),
        version_code: pin.mode.version_code().map(VersionCode::get),
        reason: pin.reason.as_str().to_owned(),
        expires_at: pin.expires_at,
        etag: stored.etag.clone(),
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    }
}

fn read(model: Model) -> Result<Versioned<Pin>, StorageError> {
    let row = Row::of("pins", model.id);
    let version = model.version_code.map(VersionCode::new).transpose();
    let version = row.column("version_code", version)?;
    let mode = PinMode::parse(&model.mode, version).map_err(PinModeError::into_reason);
    Ok(Versioned {
        value: Pin {
            id: PinId::from_uuid(model.id),
            app_id: AppId::from_uuid(model.app_id),
            identifier: row.column("identifier", Identifier::parse(model.identifier))?,
            target: row.column("target", read_target(model.device_id, model.org_path))?,
            mode: row.column("mode", mode)?,
            reason: row.column("reason", Reason::parse(model.reason))?,
            expires_at: model.expires_at,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}

fn read_target(device_id: Option<String>, org_path: Option<String>) -> Result<PinTarget, Invalid> {
    match (device_id, org_path) {
        (Some(id), None) => DeviceId::parse(id).map(PinTarget::Device),
        (None, Some(path)) => serde_json::from_str::<Vec<OrgCode>>(&path)
            .map(PinTarget::OrgNode)
            .map_err(|error| Invalid::new(error.to_string())),
        _ => Err(Invalid::new("must be a device or an org node")),
    }
}
