//! Releases of apps.

mod row;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, SelectExt,
};

use super::connect::with_load_timeout;
use super::entity::release::{ActiveModel, Column, Entity};
use super::page::{SortBy, fetch_large_page};
use super::row::Row;
use super::selection::{AppSelection, ByApp, ByTenant, by_tenant, numbers};
use super::versioned::{first_version, next_version};
use super::{CatalogTx, ReadTx, Reader, StorageError, UniqueKey};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{Release, ReleaseFilter, ReleaseRecord, ReleaseStateKind};
use slipway_domain::catalog::text::{Identifier, VersionName};
use slipway_domain::catalog::version::VersionCode;
use slipway_domain::catalog::versioned::Versioned;

/// Releases of an app that a load reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseSelection {
    All,
    /// Releases that a response to a device can depend on: published or recalled.
    Effective,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: ReleaseId,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(row::read).transpose()
}

/// Finds the release that has this version code. Discarded releases have freed theirs.
pub async fn find_by_version(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
    version: VersionCode,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let row = of_app(scope, app)
        .filter(Column::Identifier.eq(identifier.as_str()))
        .filter(Column::VersionCode.eq(version.get()))
        .filter(Column::State.ne(ReleaseStateKind::Discarded.as_str()))
        .one(reader.connection())
        .await?;
    row.map(row::read).transpose()
}

/// Lists the releases of an app by creation, newest first.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    filter: &ReleaseFilter<'_>,
    page: &PageRequest,
) -> Result<Page<Versioned<ReleaseRecord>>, StorageError> {
    let rows = of_app(scope, app)
        .apply_if(filter.identifier, |rows, identifier| {
            rows.filter(Column::Identifier.eq(identifier.as_str()))
        })
        .apply_if(filter.state, |rows, state| {
            rows.filter(Column::State.eq(state.as_str()))
        });
    fetch_large_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(row::read)
}

/// Lists the selected releases of these apps, in no particular order.
pub(super) async fn list_all_of(
    tx: &ReadTx,
    apps: &AppSelection<'_>,
    selection: ReleaseSelection,
) -> Result<ByApp<Release>, StorageError> {
    let rows = Entity::find().filter(apps.condition(Column::TenantId, Column::AppId));
    let rows = match selection {
        ReleaseSelection::All => rows,
        ReleaseSelection::Effective => rows.filter(is_in_state([
            ReleaseStateKind::Published,
            ReleaseStateKind::Recalled,
        ])),
    };
    let mut rows = with_load_timeout(async { Ok(rows.stream(tx.transaction().inner()).await?) }).await?;
    let mut releases = ByApp::new();
    while let Some(model) = with_load_timeout(async { Ok(rows.try_next().await?) }).await? {
        let app = model.app_id;
        let release = row::read(model)?.value.release;
        releases.entry(AppId::from_uuid(app)).or_default().push(release);
    }
    Ok(releases)
}

/// Counts the releases of each of these tenants, in any state.
pub(super) async fn count_by_tenant(
    reader: &impl Reader,
    scopes: &[TenantScope],
) -> Result<ByTenant<i64>, StorageError> {
    let rows: Vec<(i64, i64)> = Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .select_only()
        .column(Column::TenantId)
        .column_as(Column::Id.count(), "releases")
        .group_by(Column::TenantId)
        .into_tuple()
        .all(reader.connection())
        .await?;
    Ok(by_tenant(rows))
}

/// Lists code and name of a resource's published and paused releases, by code.
pub async fn list_names_of(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
) -> Result<Vec<(VersionCode, VersionName)>, StorageError> {
    let versions: Vec<(i64, String)> = published_or_paused(scope, app)
        .filter(Column::Identifier.eq(identifier.as_str()))
        .select_only()
        .columns([Column::VersionCode, Column::VersionName])
        .order_by_asc(Column::VersionCode)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of("releases", format!("{identifier} of {app}"));
    versions
        .into_iter()
        .map(|(code, name)| {
            let code = row.column("version_code", VersionCode::of_release(code))?;
            Ok((code, row.column("version_name", VersionName::parse(name))?))
        })
        .collect()
}

/// Returns `true` if any release of the app is published or paused.
pub async fn exists_published_or_paused(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
) -> Result<bool, StorageError> {
    Ok(published_or_paused(scope, app)
        .exists(reader.connection())
        .await?)
}

/// Errors: [`StorageError::BrokenReference`] without its resource, and [`StorageError::Conflict`] with
/// [`UniqueKey::VersionCode`].
pub async fn insert(
    tx: &CatalogTx,
    value: ReleaseRecord,
    now: DateTime<Utc>,
) -> Result<Versioned<ReleaseRecord>, StorageError> {
    tx.mark_app_changed(value.release.app_id);
    let stored = first_version(with_kept_instants(value), now);
    Entity::insert(active(tx, &stored))
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::VersionCode))?;
    Ok(stored)
}

/// Errors: [`StorageError::Changed`] if the row differs from `before`, and [`StorageError::Conflict`] with
/// [`UniqueKey::VersionCode`].
pub async fn update(
    tx: &CatalogTx,
    before: &Versioned<ReleaseRecord>,
    value: ReleaseRecord,
    now: DateTime<Utc>,
) -> Result<Versioned<ReleaseRecord>, StorageError> {
    tx.mark_app_changed(value.release.app_id);
    let stored = next_version(before, with_kept_instants(value), now);
    Entity::update(active(tx, &stored))
        .validate()?
        .filter(Column::Etag.eq(&before.etag))
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::map_write_error(UniqueKey::VersionCode))?;
    Ok(stored)
}

fn of_app(scope: TenantScope, app: AppId) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::AppId.eq(app.uuid()))
}

fn published_or_paused(scope: TenantScope, app: AppId) -> Select<Entity> {
    of_app(scope, app).filter(is_in_state([
        ReleaseStateKind::Published,
        ReleaseStateKind::Paused,
    ]))
}

fn is_in_state(kinds: [ReleaseStateKind; 2]) -> SimpleExpr {
    Column::State.is_in(kinds.map(ReleaseStateKind::as_str))
}

fn active(tx: &CatalogTx, stored: &Versioned<ReleaseRecord>) -> ActiveModel {
    row::write(tx.tenant_id(), stored).into_active_model().reset_all()
}

/// Reduces the instants of a record to the precision of the database.
fn with_kept_instants(mut record: ReleaseRecord) -> ReleaseRecord {
    let content = &mut record.release.content;
    content.starts_at = content.starts_at.map(in_micros);
    content.ends_at = content.ends_at.map(in_micros);
    record.published_at = record.published_at.map(in_micros);
    record
}
