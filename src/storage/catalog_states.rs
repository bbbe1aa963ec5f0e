//! Catalog data for nodes: the state of each tenant, and all data that checks depend on.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select,
};

use super::apps::AppOfTenant;
use super::connect::with_load_timeout;
use super::credentials::app_keys::{self, SealedSecrets};
use super::credentials::device_keys::{self, DeviceKeyHash};
use super::effective_releases::is_effective;
use super::entity::{app, catalog_revision, package_name};
use super::releases::{ReleaseArtifacts, ReleaseSelection};
use super::row::{Row, models};
use super::script::ScriptOutput;
use super::selection::numbers;
use super::{
    AppSelection, Db, ReadTx, Reader, StorageError, apps, audit, org_directories, pins, releases, resources,
    revisions, tenants,
};
use slipway_domain::access::{AppKey, TenantScope};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, KeyId, ReleaseId, TenantId};
use slipway_domain::catalog::org::OrgNode;
use slipway_domain::catalog::pin::Pin;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;
use slipway_domain::catalog::text::Identifier;

/// State of a tenant's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogState {
    pub tenant: TenantId,
    pub revision: CatalogRevision,
    /// Approximate order of changes: the later, the higher. See [`super::CatalogTx::commit`].
    pub position: i64,
}

/// Tenant without its org directory and without the content of its apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRows {
    pub tenant: Tenant,
    pub revision: CatalogRevision,
    /// Entity tag that reveals a change of the org directory; absent without a directory.
    pub directory_etag: Option<String>,
    /// Device keys with their verification data.
    pub device_keys: Vec<(KeyId, DeviceKeyHash)>,
    pub app_keys: Vec<(AppKey, SealedSecrets)>,
    /// Every app with its revision.
    pub apps: Vec<(AppId, CatalogRevision)>,
}

/// App with its resources, releases and pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRows {
    pub tenant: TenantId,
    pub app: App,
    pub revision: CatalogRevision,
    pub resources: Vec<Resource>,
    pub releases: Vec<Release>,
    pub pins: Vec<Pin>,
}

/// Lists the tenants with the latest changes, latest first.
pub async fn list_latest(db: &Db, limit: u64) -> Result<Vec<CatalogState>, StorageError> {
    let latest = catalog_revision::Entity::find()
        .order_by_desc(catalog_revision::Column::Position)
        .limit(limit);
    read_states(db, latest).await
}

/// Lists every tenant.
pub async fn list_all(db: &Db) -> Result<Vec<CatalogState>, StorageError> {
    let every = catalog_revision::Entity::find().order_by_asc(catalog_revision::Column::TenantId);
    read_states(db, every).await
}

async fn read_states(
    db: &Db,
    rows: Select<catalog_revision::Entity>,
) -> Result<Vec<CatalogState>, StorageError> {
    let rows = async { Ok(rows.all(db.connection()).await?) };
    let rows = db.with_poll_timeout(rows).await?;
    rows.into_iter().map(read_state).collect()
}

/// Returns the revision of a tenant's catalog; `None` if the tenant does not exist.
pub async fn find_revision(
    reader: &impl Reader,
    tenant: TenantId,
) -> Result<Option<CatalogRevision>, StorageError> {
    let scope = TenantScope::internal(tenant);
    Ok(find_state(reader, scope).await?.map(|state| state.revision))
}

/// Loads those of these tenants that exist.
pub async fn load_tenants(tx: &ReadTx, scopes: &[TenantScope]) -> Result<Vec<TenantRows>, StorageError> {
    let backend = tx.connection().get_database_backend();
    let queries = [
        states_of(scopes).build(backend),
        org_directories::etags_of(scopes).build(backend),
        device_keys::secret_hashes_of(scopes).build(backend),
        app_keys::keys_of(scopes).build(backend),
        apps::revisions_of(scopes).build(backend),
        tenants::all_of(scopes).build(backend),
    ];
    let [states, etags, device_keys, app_keys, apps, tenants] = tx.load(queries).await?;
    let states = read_revisions(&states)?;
    let mut directory_etags = org_directories::read_etags(&etags)?;
    let mut device_keys = device_keys::read_secret_hashes(&device_keys)?;
    let mut app_keys = app_keys::read_with_secrets(&app_keys)?;
    let mut apps = apps::read_revisions(&apps)?;
    let loaded = tenants::read_all(&tenants)?.into_iter().filter_map(|tenant| {
        let number = tenant.id.get();
        let apps = apps.remove(&number).unwrap_or_default();
        Some(TenantRows {
            revision: states.get(&tenant.id)?.clone(),
            tenant,
            directory_etag: directory_etags.remove(&number).and_then(|mut tags| tags.pop()),
            device_keys: device_keys.remove(&number).unwrap_or_default(),
            app_keys: app_keys.remove(&number).unwrap_or_default(),
            apps,
        })
    });
    Ok(loaded.collect())
}

/// Loads a tenant's org directory; empty if it has none.
pub async fn load_directory(tx: &ReadTx, scope: TenantScope) -> Result<Vec<OrgNode>, StorageError> {
    let directory = with_load_timeout(org_directories::find(tx, scope)).await?;
    Ok(directory.map(|stored| stored.nodes).unwrap_or_default())
}

/// Loads those of these apps that exist.
pub async fn load_apps(
    tx: &ReadTx,
    apps: AppSelection<'_>,
    selection: ReleaseSelection,
) -> Result<Vec<AppRows>, StorageError> {
    let backend = tx.connection().get_database_backend();
    let mut queries = vec![
        apps::all_of(&apps).build(backend),
        apps::names_of(&apps).build(backend),
        resources::all_of(&apps).build(backend),
        pins::all_of(&apps).build(backend),
        releases::all_of(&apps, selection).build(backend),
    ];
    if selection == ReleaseSelection::Effective {
        queries.push(releases::all_without_flags(&apps).build(backend));
    }
    let mut output = AppOutput {
        selection,
        apps: Vec::new(),
        names: Vec::new(),
        content: HashMap::new(),
        artifacts: ReleaseArtifacts::default(),
    };
    tx.load_into(queries, &mut output).await?;
    let AppOutput {
        mut content,
        mut artifacts,
        apps,
        names,
        ..
    } = output;
    with_load_timeout(artifacts.read(tx)).await?;
    let loaded = apps::read_all(apps, names)?.into_iter().map(|row| {
        let ResourceRows {
            resources,
            mut releases,
            pins,
        } = content.remove(&row.app.id).unwrap_or_default();
        artifacts.attach_all(row.tenant.get(), &mut releases)?;
        Ok(AppRows {
            tenant: row.tenant,
            app: row.app,
            revision: row.revision,
            resources,
            releases,
            pins,
        })
    });
    loaded.collect()
}

/// Resources of an app that changed since a revision.
#[derive(Debug)]
pub struct AppChanges {
    pub app: App,
    pub revision: CatalogRevision,
    pub resources: Vec<Identifier>,
}

/// Loads what changed in apps of a tenant since these revisions, and counts those of the releases `sample` that exist.
///
/// An app is absent from the result if it is deleted, if its own row changed, or if it is not certain that the
/// database's history contains the revision and everything since then.
pub async fn load_changes(
    tx: &ReadTx,
    scope: TenantScope,
    since: &[(AppId, CatalogRevision)],
    sample: &[ReleaseId],
) -> Result<(Vec<AppChanges>, u64), StorageError> {
    let backend = tx.connection().get_database_backend();
    let ids: Vec<_> = since.iter().map(|(id, _)| *id).collect();
    let selection = AppSelection::Some(scope, &ids);
    let queries = [
        apps::all_of(&selection).build(backend),
        apps::names_of(&selection).build(backend),
        revisions::history_since(scope, since).build(backend),
        resources::changed_since(scope, since).build(backend),
        releases::ids_of_existing(scope, sample).build(backend),
    ];
    let [apps, names, history, resources, existing] = tx.load(queries).await?;
    let mut history = revisions::read_history(&history)?;
    let mut resources = resources::read_identifiers(&resources)?;
    let rows: Vec<app::Model> = models(&apps)?;
    let rows_changed_in: HashMap<_, _> = rows.iter().map(|row| (row.id, row.changed_in)).collect();
    let since: HashMap<_, _> = since.iter().map(|(id, revision)| (*id, revision)).collect();
    let mut changes = Vec::new();
    for AppOfTenant { app, revision, .. } in apps::read_all(rows, models(&names)?)? {
        let (Some(served), Some(history)) = (since.get(&app.id), history.remove(&app.id)) else {
            continue;
        };
        let is_row_unchanged = rows_changed_in
            .get(&app.id.uuid())
            .is_some_and(|changed_in| *changed_in <= served.revision);
        if is_row_unchanged && is_complete(&history, served, &revision) {
            let resources = resources.remove(&app.id).unwrap_or_default();
            changes.push(AppChanges {
                app,
                revision,
                resources,
            });
        }
    }
    Ok((changes, existing.len() as u64))
}

/// Returns `true` if the history leads from one revision to the other without a gap.
fn is_complete(history: &[CatalogRevision], from: &CatalogRevision, to: &CatalogRevision) -> bool {
    let is_without_gap = history.is_sorted_by(|a, b| a.revision.checked_add(1) == Some(b.revision));
    is_without_gap && history.first() == Some(from) && history.last() == Some(to)
}

/// Resources of an app, with their releases and pins.
#[derive(Debug, Default)]
pub struct ResourceRows {
    pub resources: Vec<Resource>,
    pub releases: Vec<Release>,
    pub pins: Vec<Pin>,
}

/// Loads resources of apps, with releases and their pins. The result is in the order of `wanted`. The flags of the apps'
/// releases must be computed.
pub async fn load_resources(
    tx: &ReadTx,
    scope: TenantScope,
    wanted: &[(AppId, Vec<String>)],
    selection: ReleaseSelection,
) -> Result<Vec<ResourceRows>, StorageError> {
    let backend = tx.connection().get_database_backend();
    let queries = wanted.iter().flat_map(|(app, identifiers)| {
        [
            resources::some_of(scope, *app, identifiers).build(backend),
            pins::some_of(scope, *app, identifiers).build(backend),
            releases::some_of(scope, *app, identifiers, selection).build(backend),
        ]
    });
    let mut output = ResourceOutput {
        rows: wanted.iter().map(|_| ResourceRows::default()).collect(),
        artifacts: ReleaseArtifacts::default(),
    };
    tx.load_into(queries.collect(), &mut output).await?;
    let ResourceOutput {
        mut rows,
        mut artifacts,
    } = output;
    with_load_timeout(artifacts.read(tx)).await?;
    for rows in &mut rows {
        artifacts.attach_all(scope.tenant().get(), &mut rows.releases)?;
    }
    Ok(rows)
}

/// Rows of resources, converted as they arrive.
struct ResourceOutput {
    rows: Vec<ResourceRows>,
    artifacts: ReleaseArtifacts,
}

impl ScriptOutput for ResourceOutput {
    fn row(&mut self, index: usize, row: QueryResult) -> Result<(), StorageError> {
        let rows = &mut self.rows[index / 3];
        match index % 3 {
            0 => rows.resources.push(resources::read_one(&row)?),
            1 => rows.pins.push(pins::read_one(&row)?),
            _ => rows.releases.push(releases::read_one(&row, &mut self.artifacts)?),
        }
        Ok(())
    }
}

/// Counts those of these releases that exist, in any state.
pub async fn count_existing_releases(
    tx: &ReadTx,
    scope: TenantScope,
    ids: &[ReleaseId],
) -> Result<u64, StorageError> {
    with_load_timeout(releases::count_existing(tx, scope, ids)).await
}

/// Counts those of these missing apps whose deletion is in the audit log.
pub async fn count_audited_deletions(
    tx: &ReadTx,
    scope: TenantScope,
    package_names: &[String],
) -> Result<u64, StorageError> {
    with_load_timeout(audit::count_deleted_apps(tx, scope, package_names)).await
}

/// Rows of apps, converted as they arrive: the releases of a large group of tenants are many.
struct AppOutput {
    selection: ReleaseSelection,
    apps: Vec<app::Model>,
    names: Vec<package_name::Model>,
    content: HashMap<AppId, ResourceRows>,
    artifacts: ReleaseArtifacts,
}

impl AppOutput {
    fn content_of(&mut self, app: AppId) -> &mut ResourceRows {
        self.content.entry(app).or_default()
    }
}

impl ScriptOutput for AppOutput {
    fn row(&mut self, index: usize, row: QueryResult) -> Result<(), StorageError> {
        match index {
            0 => self.apps.push(app::Model::from_query_result(&row, "")?),
            1 => self.names.push(package_name::Model::from_query_result(&row, "")?),
            2 => {
                let resource = resources::read_one(&row)?;
                self.content_of(resource.app_id).resources.push(resource);
            }
            3 => {
                let pin = pins::read_one(&row)?;
                self.content_of(pin.app_id).pins.push(pin);
            }
            _ => {
                let release = releases::read_one(&row, &mut self.artifacts)?;
                // An older version of the program does not clear the flag of a release that it pauses.
                if self.selection == ReleaseSelection::All || is_effective(release.state) {
                    self.content_of(release.app_id).releases.push(release);
                }
            }
        }
        Ok(())
    }
}

fn states_of(scopes: &[TenantScope]) -> Select<catalog_revision::Entity> {
    catalog_revision::Entity::find().filter(catalog_revision::Column::TenantId.is_in(numbers(scopes)))
}

fn read_revisions(rows: &[QueryResult]) -> Result<HashMap<TenantId, CatalogRevision>, StorageError> {
    models(rows)?
        .into_iter()
        .map(|row| read_state(row).map(|state| (state.tenant, state.revision)))
        .collect()
}

async fn find_state(reader: &impl Reader, scope: TenantScope) -> Result<Option<CatalogState>, StorageError> {
    let row = catalog_revision::Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    row.map(read_state).transpose()
}

fn read_state(model: catalog_revision::Model) -> Result<CatalogState, StorageError> {
    let row = Row::of("catalog_revisions", model.tenant_id);
    Ok(CatalogState {
        tenant: row.column("tenant_id", TenantId::parse(model.tenant_id))?,
        revision: CatalogRevision {
            revision: model.revision,
            head: model.head,
        },
        position: model.position,
    })
}
