//! Releases of apps.

mod artifacts;
mod row;
mod version_names;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, SelectExt,
};

pub(super) use self::artifacts::ReleaseArtifacts;
pub use self::version_names::find_contradicting_name;
use self::version_names::{contradicting, names_to_compare};
use super::effective_releases::{EFFECTIVE_STATES, is_effective, is_in_state, is_not_discarded};
use super::entity::app;
use super::entity::release::{ActiveModel, Column, Entity, Model};
use super::page::{SortBy, fetch_large_page};
use super::reader::{Connection as _, together};
use super::row::models;
use super::selection::AppSelection;
use super::statements::QueuedWrite;
use super::versioned::{first_version, next_version};
use super::{CatalogTx, Reader, StorageError, UniqueKey, Writer as _, resources};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{
    Release, ReleaseFilter, ReleaseRecord, ReleaseState, ReleaseStateKind,
};
use slipway_domain::catalog::text::{Identifier, Md5, VersionName};
use slipway_domain::catalog::version::VersionCode;
use slipway_domain::catalog::versioned::Versioned;

/// States of a release that devices may be offered, now or after a resume.
pub const PUBLISHED_OR_PAUSED: [ReleaseStateKind; 2] =
    [ReleaseStateKind::Published, ReleaseStateKind::Paused];

/// Number of ids in one statement.
const IDS_AT_ONCE: usize = 1_000;

/// Releases of an app that a load reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseSelection {
    All,
    /// Recalled and published releases, superseded ones included.
    WithSuperseded,
    /// Releases that a response to a device can depend on: recalled, or published and not superseded.
    Effective,
}

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: ReleaseId,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let connection = reader.connection();
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()));
    let [rows] = together(connection, [row.build(connection.get_database_backend())]).await?;
    read_record(reader, scope, &rows).await
}

/// Reads the first of these rows, with its artifact.
async fn read_record(
    reader: &impl Reader,
    scope: TenantScope,
    rows: &[QueryResult],
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let mut records: Vec<_> = models(rows)?
        .into_iter()
        .take(1)
        .map(row::read)
        .collect::<Result<_, _>>()?;
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
    for stored in records {
        // An artifact that was deleted since the releases were read has no address.
        artifacts.attach(tenant, &mut stored.value.release);
    }
    Ok(())
}

/// Finds the release that has this version code. Discarded releases have freed theirs.
pub async fn find_by_version(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
    version: VersionCode,
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let connection = reader.connection();
    let row = of_version(scope, app, identifier, version).build(connection.get_database_backend());
    let [rows] = together(connection, [row]).await?;
    read_record(reader, scope, &rows).await
}

/// Lists up to `limit` releases of external URLs with this MD5, newest first. Discarded releases are omitted.
pub async fn list_external_with_md5(
    reader: &impl Reader,
    scope: TenantScope,
    md5: &Md5,
    limit: u64,
) -> Result<Vec<Versioned<ReleaseRecord>>, StorageError> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Md5.eq(md5.as_str()))
        .filter(Column::ArtifactSha256.is_null())
        .filter(is_not_discarded())
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(row::read).collect()
}

fn of_version(
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
    version: VersionCode,
) -> Select<Entity> {
    of_app(scope, app)
        .filter(Column::Identifier.eq(identifier.as_str()))
        .filter(Column::VersionCode.eq(version.get()))
        .filter(is_not_discarded())
}

/// Finds the release with the highest version among those of a resource that are in one of these states.
pub async fn find_newest<const N: usize>(
    reader: &impl Reader,
    scope: TenantScope,
    app: AppId,
    identifier: &Identifier,
    states: [ReleaseStateKind; N],
) -> Result<Option<Versioned<ReleaseRecord>>, StorageError> {
    let newest = of_app(scope, app)
        .filter(is_in_state(states))
        .filter(Column::Identifier.eq(identifier.as_str()))
        .filter(is_not_discarded())
        .order_by_desc(Column::VersionCode)
        .limit(1);
    let connection = reader.connection();
    let [rows] = together(connection, [newest.build(connection.get_database_backend())]).await?;
    read_record(reader, scope, &rows).await
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

/// Selects the releases of these apps, in no particular order. The effective ones are those with the flag; of apps whose
/// flags are not computed, [`all_without_flags`] selects the others.
pub(super) fn all_of(apps: &AppSelection<'_>, selection: ReleaseSelection) -> Select<Entity> {
    let releases = Entity::find().filter(apps.condition(Column::TenantId, Column::AppId));
    select(releases, selection)
}

fn select(releases: Select<Entity>, selection: ReleaseSelection) -> Select<Entity> {
    match selection {
        ReleaseSelection::All => releases,
        ReleaseSelection::WithSuperseded => releases.filter(is_in_state(EFFECTIVE_STATES)),
        ReleaseSelection::Effective => releases.filter(Column::Effective.eq(true)),
    }
}

/// Selects the releases without the flag that may be effective, of the apps whose flags are not computed: those in the
/// states that a check can depend on.
pub(super) fn all_without_flags(apps: &AppSelection<'_>) -> Select<Entity> {
    let without_flags = Query::select()
        .column((app::Entity, app::Column::Id))
        .from(app::Entity)
        .cond_where(apps.condition(app::Column::TenantId, app::Column::Id))
        .and_where(Expr::col(app::Column::EffectiveAsOf).ne(Expr::col(app::Column::Revision)))
        .to_owned();
    Entity::find()
        .filter(apps.condition(Column::TenantId, Column::AppId))
        .filter(Column::Effective.eq(false))
        .filter(is_in_state(EFFECTIVE_STATES))
        .filter(Column::AppId.in_subquery(without_flags))
}

/// Reads a row of [`all_of`] or of [`all_without_flags`], and requests its artifact.
pub(super) fn read_one(row: &QueryResult, artifacts: &mut ReleaseArtifacts) -> Result<Release, StorageError> {
    let model = Model::from_query_result(row, "")?;
    let tenant = model.tenant_id;
    let release = row::read(model)?.value.release;
    artifacts.request(tenant, &release);
    Ok(release)
}

/// Selects releases of these resources of an app, in no particular order. The flags must be computed.
pub(super) fn some_of(
    scope: TenantScope,
    app: AppId,
    identifiers: &[String],
    selection: ReleaseSelection,
) -> Select<Entity> {
    select(of_app(scope, app), selection).filter(Column::Identifier.is_in(identifiers))
}

/// Selects the ids of those of these releases that exist, in any state.
pub(super) fn ids_of_existing(scope: TenantScope, ids: &[ReleaseId]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::Id.is_in(ids.iter().map(|id| id.uuid())))
        .select_only()
        .column(Column::Id)
}

/// Counts those of these releases that exist, in any state.
pub(super) async fn count_existing(
    reader: &impl Reader,
    scope: TenantScope,
    ids: &[ReleaseId],
) -> Result<u64, StorageError> {
    let mut count = 0;
    for ids in ids.chunks(IDS_AT_ONCE) {
        count += ids_of_existing(scope, ids).count(reader.connection()).await?;
    }
    Ok(count)
}

/// Facts that decide about a new release of a resource.
pub struct NewReleaseFacts {
    /// Release that has the version code.
    pub existing: Option<Versioned<ReleaseRecord>>,
    pub has_resource: bool,
    /// Code and name of a release whose version name contradicts the order of the version codes; see
    /// [`find_contradicting_name`].
    pub contradicting: Option<(VersionCode, VersionName)>,
}

/// Reads the facts about a new release in one round trip.
pub async fn find_facts(
    reader: &impl Reader,
    scope: TenantScope,
    release: &Release,
) -> Result<NewReleaseFacts, StorageError> {
    let connection = reader.connection();
    let backend = connection.get_database_backend();
    let existing = of_version(
        scope,
        release.app_id,
        &release.identifier,
        release.content.version_code,
    );
    let resource = resources::one(scope, release.app_id, &release.identifier);
    let mut queries = vec![existing.build(backend), resource.build(backend)];
    queries.append(&mut names_to_compare(backend, scope, release));
    let rows = connection.query_together(queries).await?;
    let [existing, resource, names @ ..] = rows.as_slice() else {
        return Err(DbErr::Custom("a query of several has no result".to_owned()).into());
    };
    Ok(NewReleaseFacts {
        existing: read_record(reader, scope, existing).await?,
        has_resource: !resource.is_empty(),
        contradicting: contradicting(release, names)?,
    })
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

/// Queues the insertion of a release. Errors of a later round trip, at the latest of the commit:
/// [`StorageError::BrokenReference`] without its resource, and [`StorageError::Conflict`] with
/// [`UniqueKey::VersionCode`].
pub fn insert(
    tx: &CatalogTx,
    value: ReleaseRecord,
    now: DateTime<Utc>,
) -> Result<Versioned<ReleaseRecord>, StorageError> {
    mark_changed(tx, &value.release, None);
    mark_artifact_used(tx, &value.release);
    let stored = first_version(with_kept_instants(value), now);
    let insert = Entity::insert(active(tx, &stored));
    tx.queue(QueuedWrite {
        statement: insert.build(tx.connection().get_database_backend()),
        key: Some(UniqueKey::VersionCode),
        if_unchanged: None,
    });
    Ok(stored)
}

/// Queues the update of a release. Errors of a later round trip, at the latest of the commit:
/// [`StorageError::Changed`] if the row differs from `before`, and [`StorageError::Conflict`] with
/// [`UniqueKey::VersionCode`].
pub fn update(
    tx: &CatalogTx,
    before: &Versioned<ReleaseRecord>,
    value: ReleaseRecord,
    now: DateTime<Utc>,
) -> Result<Versioned<ReleaseRecord>, StorageError> {
    mark_changed(tx, &value.release, Some(before.value.release.state));
    if value.release.content.file.artifact != before.value.release.content.file.artifact {
        mark_artifact_used(tx, &value.release);
    }
    let stored = next_version(before, with_kept_instants(value), now);
    let update = Entity::update(active(tx, &stored))
        .validate()?
        .filter(Column::Etag.eq(&before.etag));
    tx.queue(QueuedWrite {
        statement: update.build(tx.connection().get_database_backend()),
        key: Some(UniqueKey::VersionCode),
        if_unchanged: Some(|| StorageError::Changed),
    });
    Ok(stored)
}

fn of_app(scope: TenantScope, app: AppId) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::AppId.eq(app.uuid()))
}

fn mark_artifact_used(tx: &CatalogTx, release: &Release) {
    if let Some(sha256) = &release.content.file.artifact {
        super::artifacts::mark_used(tx, sha256);
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
    of_app(scope, app).filter(is_in_state(PUBLISHED_OR_PAUSED))
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
