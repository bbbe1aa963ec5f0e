//! Resources of apps.

use chrono::{DateTime, Utc};
use sea_orm::prelude::Uuid;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, TryGetableMany as _,
};

use super::entity::resource::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::selection::{AppSelection, ByApp, by_app};
use super::statements::QueuedWrite;
use super::versioned::{first_version, next_version};
use super::{CatalogTx, Reader, StorageError, UniqueKey, Writer as _};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::app::{Resource, ResourceKind};
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::{Identifier, Name};
use slipway_domain::catalog::versioned::Versioned;

/// Key of a resource within a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceKey {
    pub app: AppId,
    pub identifier: Identifier,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
) -> Result<Option<Versioned<Resource>>, StorageError> {
    let row = one(scope, app, identifier).one(reader.connection()).await?;
    row.map(read).transpose()
}

/// Selects the resource with this identifier.
pub(super) fn one(scope: TenantScope, app: AppId, identifier: &Identifier) -> Select<Entity> {
    of_app(scope, app).filter(Column::Identifier.eq(identifier.as_str()))
}

/// Lists the resources of an app by identifier, bytewise.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    page: &PageRequest,
) -> Result<Page<Versioned<Resource>>, StorageError> {
    fetch_page(
        page,
        reader,
        of_app(scope, app),
        SortBy::Ascending(Column::Identifier),
        |row| row.identifier.clone(),
    )
    .await?
    .try_map(read)
}

/// Selects all resources of these apps by identifier.
pub(super) fn all_of(apps: &AppSelection<'_>) -> Select<Entity> {
    Entity::find()
        .filter(apps.condition(Column::TenantId, Column::AppId))
        .order_by_asc(Column::Identifier)
}

/// Selects these resources of an app.
pub(super) fn some_of(scope: TenantScope, app: AppId, identifiers: &[String]) -> Select<Entity> {
    of_app(scope, app).filter(Column::Identifier.is_in(identifiers))
}

/// Reads a row of [`all_of`] or of [`some_of`].
pub(super) fn read_one(row: &QueryResult) -> Result<Resource, StorageError> {
    Ok(read(Model::from_query_result(row, "")?)?.value)
}

/// Selects the identifiers of the resources of apps that changed since these revisions.
pub(super) fn changed_since(scope: TenantScope, since: &[(AppId, CatalogRevision)]) -> Select<Entity> {
    let after = since.iter().map(|(app, revision)| {
        Condition::all()
            .add(Column::AppId.eq(app.uuid()))
            .add(Column::ChangedIn.gt(revision.revision))
    });
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(after.fold(Condition::any(), Condition::add))
        .select_only()
        .columns([Column::AppId, Column::Identifier])
}

/// Reads the rows of [`changed_since`].
pub(super) fn read_identifiers(rows: &[QueryResult]) -> Result<ByApp<Identifier>, StorageError> {
    let identifiers = rows.iter().map(|row| {
        let (app, identifier) = <(Uuid, String)>::try_get_many_by_index(row).map_err(DbErr::from)?;
        let row = Row::of("resources", app);
        Ok((app, row.column("identifier", Identifier::parse(identifier))?))
    });
    Ok(by_app(identifiers.collect::<Result<Vec<_>, StorageError>>()?))
}

/// Lists up to `limit` resources of a tenant whose identifier begins with a text, by identifier and app.
pub async fn list_beginning_with(
    reader: &impl Reader,
    scope: TenantScope,
    beginning: &str,
    limit: u64,
) -> Result<Vec<ResourceKey>, StorageError> {
    let rows: Vec<(Uuid, String)> = Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Identifier.gte(beginning))
        // A tilde is greater than every character of an identifier.
        .filter(Column::Identifier.lt(format!("{beginning}~")))
        .select_only()
        .columns([Column::AppId, Column::Identifier])
        .order_by_asc(Column::Identifier)
        .order_by_asc(Column::AppId)
        .limit(limit)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let read = |(app, identifier): (Uuid, String)| {
        let row = Row::of("resources", app);
        Ok(ResourceKey {
            app: AppId::from_uuid(app),
            identifier: row.column("identifier", Identifier::parse(identifier))?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Lists the identifiers of all resources of an app, bytewise.
pub async fn list_identifiers(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
) -> Result<Vec<Identifier>, StorageError> {
    let identifiers: Vec<String> = of_app(scope, app)
        .select_only()
        .column(Column::Identifier)
        .order_by_asc(Column::Identifier)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of("resources", app);
    identifiers
        .into_iter()
        .map(|identifier| row.column("identifier", Identifier::parse(identifier)))
        .collect()
}

/// Queues the insertion of a resource. Error of a later round trip, at the latest of the commit:
/// [`StorageError::Conflict`] with [`UniqueKey::Resource`].
pub fn insert(
    tx: &CatalogTx,
    value: Resource,
    now: DateTime<Utc>,
) -> Result<Versioned<Resource>, StorageError> {
    tx.mark_resource_changed(value.app_id, &value.identifier);
    let stored = first_version(value, now);
    let row = ActiveModel {
        changed_in: Set(0),
        created_at: Set(stored.created_at),
        ..changeable(tx, &stored)
    };
    tx.queue(QueuedWrite {
        statement: Entity::insert(row).build(tx.connection().get_database_backend()),
        key: Some(UniqueKey::Resource),
        if_unchanged: None,
    });
    Ok(stored)
}

/// Queues the update of a resource. Error of a later round trip, at the latest of the commit:
/// [`StorageError::Changed`] if the row differs from `before`.
pub fn update(
    tx: &CatalogTx,
    before: &Versioned<Resource>,
    value: Resource,
    now: DateTime<Utc>,
) -> Result<Versioned<Resource>, StorageError> {
    tx.mark_resource_changed(value.app_id, &value.identifier);
    let stored = next_version(before, value, now);
    let update = Entity::update(changeable(tx, &stored))
        .validate()?
        .filter(Column::Etag.eq(&before.etag));
    tx.queue(QueuedWrite {
        statement: update.build(tx.connection().get_database_backend()),
        key: None,
        if_unchanged: Some(|| StorageError::Changed),
    });
    Ok(stored)
}

fn of_app(scope: TenantScope, app: AppId) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::AppId.eq(app.uuid()))
}

fn changeable(tx: &CatalogTx, stored: &Versioned<Resource>) -> ActiveModel {
    let resource = &stored.value;
    ActiveModel {
        tenant_id: Set(tx.tenant_id()),
        app_id: Set(resource.app_id.uuid()),
        identifier: Set(resource.identifier.as_str().to_owned()),
        name: Set(resource.name.clone().map(Name::into_string)),
        kind: Set(resource.kind.as_str().to_owned()),
        enabled: Set(resource.enabled),
        repair_on_mismatch: Set(resource.repair_on_mismatch),
        etag: Set(stored.etag.clone()),
        updated_at: Set(stored.updated_at),
        ..Default::default()
    }
}

fn read(model: Model) -> Result<Versioned<Resource>, StorageError> {
    let row = Row::of("resources", format!("{} of {}", model.identifier, model.app_id));
    Ok(Versioned {
        value: Resource {
            app_id: AppId::from_uuid(model.app_id),
            identifier: row.column("identifier", Identifier::parse(model.identifier))?,
            name: row.column("name", model.name.map(Name::parse).transpose())?,
            kind: row.column("kind", ResourceKind::parse(&model.kind))?,
            enabled: model.enabled,
            repair_on_mismatch: model.repair_on_mismatch,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}
