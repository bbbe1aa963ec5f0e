//! Apps with their current and old package names.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    TryGetableMany as _,
};
use uuid::Uuid;

use super::entity::app::{ActiveModel, Column, Entity, Model};
use super::entity::package_name;
use super::page::{SortBy, fetch_page};
use super::reader::together;
use super::row::{Row, models};
use super::selection::{AppSelection, ByTenant, by_tenant, numbers};
use super::versioned::{first_version, next_version};
use super::{CatalogTx, Reader, StorageError, UniqueKey};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::{AppId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::text::{Name, PackageName, Url};
use slipway_domain::catalog::versioned::Versioned;

/// App with what a load needs to know of it.
pub(super) struct AppOfTenant {
    pub(super) tenant: TenantId,
    pub(super) revision: CatalogRevision,
    pub(super) app: App,
}

/// Selects these apps.
pub(super) fn all_of(apps: &AppSelection<'_>) -> Select<Entity> {
    Entity::find().filter(apps.condition(Column::TenantId, Column::Id))
}

/// Selects the old names of these apps.
pub(super) fn names_of(apps: &AppSelection<'_>) -> Select<package_name::Entity> {
    names_where(apps.condition(package_name::Column::TenantId, package_name::Column::AppId))
}

/// Reads the rows of [`all_of`] and of [`names_of`].
pub(super) fn read_all(
    rows: Vec<Model>,
    names: Vec<package_name::Model>,
) -> Result<Vec<AppOfTenant>, StorageError> {
    let mut names = by_app_id(names);
    rows.into_iter()
        .map(|model| {
            let row = Row::of("apps", model.id);
            let tenant = row.column("tenant_id", TenantId::parse(model.tenant_id))?;
            let revision = CatalogRevision {
                revision: model.revision,
                head: model.head.clone(),
            };
            let old_names = names.remove(&model.id).unwrap_or_default();
            Ok(AppOfTenant {
                tenant,
                revision,
                app: read(model, old_names)?.value,
            })
        })
        .collect()
}

/// Selects the revision of every app of these tenants.
pub(super) fn revisions_of(scopes: &[TenantScope]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .select_only()
        .columns([Column::TenantId, Column::Id, Column::Revision, Column::Head])
}

/// Reads the rows of [`revisions_of`].
pub(super) fn read_revisions(
    rows: &[QueryResult],
) -> Result<ByTenant<(AppId, CatalogRevision)>, StorageError> {
    let revisions = rows.iter().map(|row| {
        let (tenant, id, revision, head) =
            <(i64, Uuid, i64, String)>::try_get_many_by_index(row).map_err(DbErr::from)?;
        Ok((tenant, (AppId::from_uuid(id), CatalogRevision { revision, head })))
    });
    Ok(by_tenant(revisions.collect::<Result<Vec<_>, StorageError>>()?))
}

pub async fn find_by_id(
    reader: &impl Reader,
    scope: TenantScope,
    id: AppId,
) -> Result<Option<Versioned<App>>, StorageError> {
    one(reader, scope, Column::Id.eq(id.uuid())).await
}

/// Finds the app with this current package name.
pub async fn find_by_package_name(
    reader: &impl Reader,
    scope: TenantScope,
    name: &PackageName,
) -> Result<Option<Versioned<App>>, StorageError> {
    one(reader, scope, Column::PackageName.eq(name.as_str())).await
}

/// Finds the app with this current or old package name.
pub async fn find_by_any_name(
    reader: &impl Reader,
    scope: TenantScope,
    name: &PackageName,
) -> Result<Option<Versioned<App>>, StorageError> {
    let named = package_name::Entity::find()
        .select_only()
        .column(package_name::Column::AppId)
        .filter(package_name::Column::TenantId.eq(scope.tenant().get()))
        .filter(package_name::Column::Name.eq(name.as_str()));
    one(reader, scope, Column::Id.in_subquery(named.into_query())).await
}

/// Returns the current package names of these apps.
pub async fn list_package_names(
    reader: &impl Reader,
    scope: TenantScope,
    ids: impl IntoIterator<Item = AppId>,
) -> Result<HashMap<AppId, PackageName>, StorageError> {
    let rows: Vec<(Uuid, String)> = of_tenant(scope)
        .filter(Column::Id.is_in(ids.into_iter().map(AppId::uuid)))
        .select_only()
        .columns([Column::Id, Column::PackageName])
        .into_tuple()
        .all(reader.connection())
        .await?;
    rows.into_iter()
        .map(|(id, name)| {
            let name = Row::of("apps", id).column("package_name", PackageName::parse(name))?;
            Ok((AppId::from_uuid(id), name))
        })
        .collect()
}

/// Lists the apps of a tenant by package name, bytewise.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    page: &PageRequest,
) -> Result<Page<Versioned<App>>, StorageError> {
    let rows = fetch_page(
        page,
        reader,
        of_tenant(scope),
        SortBy::Ascending(Column::PackageName),
        |row| row.package_name.clone(),
    )
    .await?;
    let ids = rows.items.iter().map(|row| row.id);
    let mut names = old_names(reader, scope, ids).await?;
    rows.try_map(|row| {
        let old_names = names.remove(&row.id).unwrap_or_default();
        read(row, old_names)
    })
}

/// Errors: [`StorageError::Conflict`] with [`UniqueKey::PackageName`], for the current name and for old names.
pub async fn insert(tx: &CatalogTx, value: App, now: DateTime<Utc>) -> Result<Versioned<App>, StorageError> {
    tx.mark_app_row_changed(value.id);
    let stored = first_version(value, now);
    let row = ActiveModel {
        package_name: Set(stored.value.package_name.as_str().to_owned()),
        // The commit sets the revision to 1 and generates the head.
        revision: Set(0),
        effective_as_of: Set(0),
        changed_in: Set(0),
        head: Set(String::new()),
        created_at: Set(stored.created_at),
        ..changeable(tx, &stored)
    };
    Entity::insert(row)
        .exec_without_returning(tx.connection())
        .await?;
    insert_names(tx, &stored.value).await?;
    Ok(stored)
}

/// Updates everything except the package name, which never changes.
///
/// Errors: [`StorageError::Changed`] if the row differs from `before`, and [`StorageError::Conflict`] with
/// [`UniqueKey::PackageName`].
pub async fn update(
    tx: &CatalogTx,
    before: &Versioned<App>,
    value: App,
    now: DateTime<Utc>,
) -> Result<Versioned<App>, StorageError> {
    tx.mark_app_row_changed(value.id);
    let stored = next_version(before, value, now);
    Entity::update(changeable(tx, &stored))
        .validate()?
        .filter(Column::Etag.eq(&before.etag))
        .exec_without_returning(tx.connection())
        .await?;
    if stored.value.old_package_names != before.value.old_package_names {
        delete_names(tx, stored.value.id).await?;
        insert_names(tx, &stored.value).await?;
    }
    Ok(stored)
}

/// Deletes the app with its names, resources, releases and pins. Returns `true` if the app existed.
pub async fn delete(tx: &CatalogTx, id: AppId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id((tx.tenant_id(), id.uuid()))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

/// Reads the app that a condition selects, and its old names.
async fn one(
    reader: &impl Reader,
    scope: TenantScope,
    condition: SimpleExpr,
) -> Result<Option<Versioned<App>>, StorageError> {
    let connection = reader.connection();
    let backend = connection.get_database_backend();
    let app = of_tenant(scope).filter(condition);
    let id = app.clone().select_only().column(Column::Id).into_query();
    let names = names_where(
        Condition::all()
            .add(package_name::Column::TenantId.eq(scope.tenant().get()))
            .add(package_name::Column::AppId.in_subquery(id)),
    );
    let queries = [app.build(backend), names.build(backend)];
    let [app, names] = together(connection, queries).await?;
    let Some(row) = models::<Model>(&app)?.pop() else {
        return Ok(None);
    };
    let old_names = by_app_id(models(&names)?).remove(&row.id);
    read(row, old_names.unwrap_or_default()).map(Some)
}

/// Returns the old names of each app on a page, in their order.
async fn old_names(
    reader: &impl Reader,
    scope: TenantScope,
    apps: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<String>>, StorageError> {
    use package_name::Column;
    let of_page = Column::TenantId
        .eq(scope.tenant().get())
        .and(Column::AppId.is_in(apps));
    let names = names_where(Condition::all().add(of_page));
    Ok(by_app_id(names.all(reader.connection()).await?))
}

/// Selects the old names of the apps that a condition selects, in their order.
fn names_where(condition: Condition) -> Select<package_name::Entity> {
    use package_name::{Column, Entity};
    Entity::find()
        .filter(condition)
        .filter(Column::Position.gt(0))
        .order_by_asc(Column::Position)
}

fn by_app_id(rows: Vec<package_name::Model>) -> HashMap<Uuid, Vec<String>> {
    let mut names: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        names.entry(row.app_id).or_default().push(row.name);
    }
    names
}

async fn insert_names(tx: &CatalogTx, app: &App) -> Result<(), StorageError> {
    let names = std::iter::once(&app.package_name).chain(&app.old_package_names);
    let rows = (0..).zip(names).map(|(position, name)| {
        package_name::Model {
            tenant_id: tx.tenant_id(),
            name: name.as_str().to_owned(),
            app_id: app.id.uuid(),
            position,
        }
        .into_active_model()
    });
    package_name::Entity::insert_many(rows)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::PackageName))?;
    Ok(())
}

async fn delete_names(tx: &CatalogTx, app: AppId) -> Result<(), StorageError> {
    package_name::Entity::delete_many()
        .filter(package_name::Column::TenantId.eq(tx.tenant_id()))
        .filter(package_name::Column::AppId.eq(app.uuid()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

fn changeable(tx: &CatalogTx, stored: &Versioned<App>) -> ActiveModel {
    let app = &stored.value;
    ActiveModel {
        tenant_id: Set(tx.tenant_id()),
        id: Set(app.id.uuid()),
        app_name: Set(app.app_name.as_str().to_owned()),
        icon_url: Set(app.icon_url.clone().map(Url::into_string)),
        enabled: Set(app.enabled),
        etag: Set(stored.etag.clone()),
        updated_at: Set(stored.updated_at),
        ..Default::default()
    }
}

fn read(model: Model, old_names: Vec<String>) -> Result<Versioned<App>, StorageError> {
    let row = Row::of("apps", model.id);
    let old_names = old_names.into_iter().map(PackageName::parse).collect();
    Ok(Versioned {
        value: App {
            id: AppId::from_uuid(model.id),
            package_name: row.column("package_name", PackageName::parse(model.package_name))?,
            app_name: row.column("app_name", Name::parse(model.app_name))?,
            old_package_names: row.column::<Vec<_>, _>("old names", old_names)?,
            icon_url: row.column("icon_url", model.icon_url.map(Url::parse).transpose())?,
            enabled: model.enabled,
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.updated_at,
    })
}
