//! Releases of apps.

mod artifacts;
mod row;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, SelectExt,
};

use self::artifacts::ReleaseArtifacts;
use super::connect::with_load_timeout;
use super::effective_releases::{EFFECTIVE_STATES, is_effective, is_in_state, is_not_discarded};
use super::entity::release::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_large_page};
use super::row::Row;
use super::selection::{AppSelection, ByApp};
use super::versioned::{first_version, next_version};
use super::{CatalogTx, ReadTx, Reader, StorageError, UniqueKey};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{
    Release, ReleaseFilter, ReleaseRecord, ReleaseState, ReleaseStateKind,
};
use slipway_domain::catalog::text::{Identifier, VersionName};
use slipway_domain::catalog::version::{VersionCode, semver_order_key};
use slipway_domain::catalog::versioned::Versioned;

/// Number of ids in one statement.
const IDS_AT_ONCE: usize = 1_000;

/// Releases of an app that a load reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseSelection {
    All,
    /// Releases that a response to a device can depend on: recalled, or published and not superseded.
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
    read_one(reader, scope, row).await
}

async fn read_one(
    reader: &impl Reader,
    scope: TenantScope,
    row: Option<Model>,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let mut records: Vec<_> = row.map(row::read).transpose()?.into_iter().collect();
    attach_artifacts(reader, scope, &mut records).await?;
    Ok(records.pop())
}

async fn attach_artifacts(
    reader: &impl Reader,
    scope: TenantScope,
    records: &mut [Versioned<ReleaseRecord>],
) -> Result<(), StorageError> {
    let tenant = scope.tenant().get();
    let mut artifacts = ReleaseArtifacts::default();
    for stored in &*records {
        artifacts.request(tenant, &stored.value.release);
    }
    artifacts.read(reader).await?;
    records
        .iter_mut()
        .try_for_each(|stored| artifacts.attach(tenant, &mut stored.value.release))
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
        .filter(is_not_discarded())
        .one(reader.connection())
        .await?;
    read_one(reader, scope, row).await
}

/// Finds the newest published or paused release of a resource.
pub async fn find_newest(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let row = published_or_paused(scope, app)
        .filter(Column::Identifier.eq(identifier.as_str()))
        .filter(is_not_discarded())
        .order_by_desc(Column::VersionCode)
        .limit(1)
        .one(reader.connection())
        .await?;
    read_one(reader, scope, row).await
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
    let mut page = fetch_large_page(page, reader, rows, SortBy::Descending(Column::Id), |row| row.id)
        .await?
        .try_map(row::read)?;
    attach_artifacts(reader, scope, &mut page.items).await?;
    Ok(page)
}

/// Lists the releases of these apps in any state, in no particular order.
pub(super) async fn list_all_of(
    tx: &ReadTx,
    apps: &AppSelection<'_>,
) -> Result<ByApp<Release>, StorageError> {
    read_all(tx, of_apps(apps), |_| true).await
}

/// Lists the effective releases of these apps, in no particular order. Of apps whose flags are not computed it lists
/// those in the states that a check can depend on.
pub(super) async fn list_effective_of(
    tx: &ReadTx,
    apps: &AppSelection<'_>,
    without_flags: &HashSet<AppId>,
) -> Result<ByApp<Release>, StorageError> {
    if without_flags.is_empty() {
        return read_all(tx, of_apps(apps).filter(Column::Effective.eq(true)), |_| true).await;
    }
    let rows = of_apps(apps).filter(is_in_state(EFFECTIVE_STATES));
    read_all(tx, rows, |row| {
        row.effective || without_flags.contains(&AppId::from_uuid(row.app_id))
    })
    .await
}

fn of_apps(apps: &AppSelection<'_>) -> Select<Entity> {
    Entity::find().filter(apps.condition(Column::TenantId, Column::AppId))
}

async fn read_all(
    tx: &ReadTx,
    rows: Select<Entity>,
    is_wanted: impl Fn(&Model) -> bool,
) -> Result<ByApp<Release>, StorageError> {
    let mut rows = with_load_timeout(async { Ok(rows.stream(tx.transaction().inner()).await?) }).await?;
    let mut artifacts = ReleaseArtifacts::default();
    let mut read = Vec::new();
    while let Some(model) = with_load_timeout(async { Ok(rows.try_next().await?) }).await? {
        if is_wanted(&model) {
            let tenant = model.tenant_id;
            let release = row::read(model)?.value.release;
            artifacts.request(tenant, &release);
            read.push((tenant, release));
        }
    }
    drop(rows);
    with_load_timeout(artifacts.read(tx)).await?;
    let mut releases = ByApp::new();
    for (tenant, mut release) in read {
        artifacts.attach(tenant, &mut release)?;
        releases.entry(release.app_id).or_default().push(release);
    }
    Ok(releases)
}

/// Counts those of these releases that exist, in any state.
pub(super) async fn count_existing(
    reader: &impl Reader,
    scope: TenantScope,
    ids: &[ReleaseId],
) -> Result<u64, StorageError> {
    let mut count = 0;
    for ids in ids.chunks(IDS_AT_ONCE) {
        count += Entity::find()
            .filter(Column::TenantId.eq(scope.tenant().get()))
            .filter(Column::Id.is_in(ids.iter().map(|id| id.uuid())))
            .count(reader.connection())
            .await?;
    }
    Ok(count)
}

/// Finds a published or paused release of the same resource whose version name contradicts the order of the version
/// codes: both names are `SemVer`, in the reverse order. For the newest version the cost does not depend on the number
/// of releases.
pub async fn find_contradicting_name(
    reader: &impl Reader,
    scope: TenantScope,
    release: &Release,
) -> Result<Option<(VersionCode, VersionName)>, StorageError> {
    let (code, name) = (release.content.version_code, &release.content.version_name);
    let key = semver_order_key(name);
    if key.is_empty() {
        return Ok(None);
    }
    // Each statement uses the index of the condition that few releases meet if there is no contradiction. The other
    // condition is written so that no index can serve it.
    let higher_name = Condition::all()
        .add(Column::VersionOrder.gt(key.as_str()))
        .add(Expr::col(Column::VersionCode).add(0).lt(code.get()));
    let lower_name = Condition::all()
        .add(is_not_discarded())
        .add(Column::VersionCode.gt(code.get()))
        .add(Expr::cust("version_order || ''").ne(""))
        .add(Expr::cust("version_order || ''").lt(key.as_str()));
    // Written by a version of the program that did not compute the order.
    let unknown_order = Condition::all().add(Column::VersionOrder.is_null());
    for condition in [higher_name, lower_name, unknown_order] {
        let found = names_where(reader, scope, release, condition).await?;
        let contradicts = |(other_code, other_name): &(VersionCode, VersionName)| {
            let other_key = semver_order_key(other_name);
            !other_key.is_empty() && other_key != key && (other_key < key) == (*other_code > code)
        };
        if let Some(found) = found.into_iter().find(contradicts) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Lists code and name of the published and paused releases of the same resource that meet a condition.
async fn names_where(
    reader: &impl Reader,
    scope: TenantScope,
    release: &Release,
    condition: Condition,
) -> Result<Vec<(VersionCode, VersionName)>, StorageError> {
    let found: Vec<(i64, String)> = published_or_paused(scope, release.app_id)
        .filter(Column::Identifier.eq(release.identifier.as_str()))
        .filter(condition)
        .select_only()
        .columns([Column::VersionCode, Column::VersionName])
        .order_by_asc(Column::VersionCode)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let row = Row::of(
        "releases",
        format!("{} of {}", release.identifier, release.app_id),
    );
    found
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
    mark_changed(tx, &value.release, None);
    mark_artifact_used(tx, &value.release).await?;
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
    mark_changed(tx, &value.release, Some(before.value.release.state));
    if value.release.content.file.artifact != before.value.release.content.file.artifact {
        mark_artifact_used(tx, &value.release).await?;
    }
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

async fn mark_artifact_used(tx: &CatalogTx, release: &Release) -> Result<(), StorageError> {
    match &release.content.file.artifact {
        Some(sha256) => super::artifacts::mark_used(tx, sha256).await,
        None => Ok(()),
    }
}

/// Records the change of a release. Effective releases of its resource may change with it, unless it is effective
/// neither before nor after.
fn mark_changed(tx: &CatalogTx, release: &Release, before: Option<ReleaseState>) {
    if is_effective(release.state) || before.is_some_and(is_effective) {
        tx.mark_releases_changed(release.app_id, &release.identifier);
    } else {
        tx.mark_app_changed(release.app_id);
    }
}

fn published_or_paused(scope: TenantScope, app: AppId) -> Select<Entity> {
    of_app(scope, app).filter(is_in_state([
        ReleaseStateKind::Published,
        ReleaseStateKind::Paused,
    ]))
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
