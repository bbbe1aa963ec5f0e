//! Catalog data for nodes: the state of each tenant, and all data that checks depend on.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::connect::with_load_timeout;
use super::credentials::app_keys::{self, SealedSecrets};
use super::credentials::device_keys::{self, DeviceKeyHash};
use super::entity::catalog_revision;
use super::releases::ReleaseSelection;
use super::row::Row;
use super::selection::numbers;
use super::{
    AppSelection, Db, ReadTx, Reader, StorageError, apps, audit, org_directories, pins, releases, resources,
    tenants,
};
use slipway_domain::access::{AppKey, TenantScope};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, KeyId, ReleaseId, TenantId};
use slipway_domain::catalog::org::OrgNode;
use slipway_domain::catalog::pin::Pin;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;

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
    let states = with_load_timeout(list_states(tx, scopes)).await?;
    let mut directory_etags = with_load_timeout(org_directories::list_etags(tx, scopes)).await?;
    let mut device_keys = with_load_timeout(device_keys::list_secret_hashes(tx, scopes)).await?;
    let mut app_keys = with_load_timeout(app_keys::list_with_secrets(tx, scopes)).await?;
    let mut apps = with_load_timeout(apps::list_revisions(tx, scopes)).await?;
    let rows = with_load_timeout(tenants::list_all_of(tx, scopes)).await?;
    let loaded = rows.into_iter().filter_map(|tenant| {
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
    let rows = with_load_timeout(apps::list_all_of(tx, &apps)).await?;
    let mut resources = with_load_timeout(resources::list_all_of(tx, &apps)).await?;
    let mut releases = match selection {
        ReleaseSelection::All => releases::list_all_of(tx, &apps).await?,
        ReleaseSelection::Effective => {
            let without_flags = rows.iter().filter(|row| !row.has_current_flags);
            let without_flags = without_flags.map(|row| row.app.id).collect();
            releases::list_effective_of(tx, &apps, &without_flags).await?
        }
    };
    let mut pins = with_load_timeout(pins::list_all_of(tx, &apps)).await?;
    let loaded = rows.into_iter().map(|row| AppRows {
        resources: resources.remove(&row.app.id).unwrap_or_default(),
        releases: releases.remove(&row.app.id).unwrap_or_default(),
        pins: pins.remove(&row.app.id).unwrap_or_default(),
        tenant: row.tenant,
        app: row.app,
        revision: row.revision,
    });
    Ok(loaded.collect())
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

async fn list_states(
    reader: &impl Reader,
    scopes: &[TenantScope],
) -> Result<HashMap<TenantId, CatalogRevision>, StorageError> {
    let rows = catalog_revision::Entity::find()
        .filter(catalog_revision::Column::TenantId.is_in(numbers(scopes)))
        .all(reader.connection())
        .await?;
    rows.into_iter()
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
