//! What a node follows the catalog by: which tenants are in which state, and all that checks are answered from.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::app_keys::SealedSecrets;
use super::entity::{app, catalog_revision};
use super::releases::ReleaseSelection;
use super::row::Row;
use super::{
    CatalogPair, ReadTx, Reader, StorageError, Stored, app_keys, apps, device_keys, org_directories, pins,
    releases, resources, tenants,
};
use crate::access::{AppKey, TenantScope};
use crate::catalog::app::{App, Resource};
use crate::catalog::ids::{AppId, KeyId, TenantId};
use crate::catalog::org::OrgNode;
use crate::catalog::pin::Pin;
use crate::catalog::release::Release;
use crate::catalog::tenant::Tenant;

/// In which state a tenant's catalog is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogState {
    pub tenant: TenantId,
    pub pair: CatalogPair,
    /// Higher the later it changed, nearly; see [`super::CatalogTx::commit`].
    pub position: i64,
}

/// A tenant without what its apps hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRows {
    pub tenant: Tenant,
    pub pair: CatalogPair,
    pub directory: Vec<OrgNode>,
    /// Each device key with what it is verified against.
    pub device_keys: Vec<(KeyId, String)>,
    pub app_keys: Vec<(AppKey, SealedSecrets)>,
    pub apps: Vec<AppSummary>,
}

/// In which state an app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSummary {
    pub id: AppId,
    pub pair: CatalogPair,
}

/// An app with all that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRows {
    pub app: App,
    pub pair: CatalogPair,
    pub resources: Vec<Resource>,
    pub releases: Vec<Release>,
    pub pins: Vec<Pin>,
}

/// The tenants that changed last, the latest first.
pub async fn newest(reader: &impl Reader, limit: u64) -> Result<Vec<CatalogState>, StorageError> {
    let rows = catalog_revision::Entity::find()
        .order_by_desc(catalog_revision::Column::Position)
        .limit(limit)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_state).collect()
}

/// Every tenant.
pub async fn all(reader: &impl Reader) -> Result<Vec<CatalogState>, StorageError> {
    let rows = catalog_revision::Entity::find()
        .order_by_asc(catalog_revision::Column::TenantId)
        .all(reader.connection())
        .await?;
    rows.into_iter().map(read_state).collect()
}

/// In which state a tenant's catalog is; `None` when there is no such tenant.
pub async fn find_pair(reader: &impl Reader, tenant: TenantId) -> Result<Option<CatalogPair>, StorageError> {
    let scope = TenantScope::of_the_program(tenant);
    Ok(find_state(reader, scope).await?.map(|state| state.pair))
}

/// `None` when there is no such tenant.
pub async fn load_tenant(tx: &ReadTx, tenant: TenantId) -> Result<Option<TenantRows>, StorageError> {
    let scope = TenantScope::of_the_program(tenant);
    let (Some(row), Some(state)) = (tenants::find(tx, tenant).await?, find_state(tx, scope).await?) else {
        return Ok(None);
    };
    let directory = org_directories::find(tx, scope).await?;
    Ok(Some(TenantRows {
        tenant: row.value,
        pair: state.pair,
        directory: directory.map(|stored| stored.nodes).unwrap_or_default(),
        device_keys: device_keys::list_secret_hashes(tx, scope).await?,
        app_keys: app_keys::list_with_secrets(tx, scope).await?,
        apps: list_app_summaries(tx, scope).await?,
    }))
}

/// `None` when the tenant has no such app (any more).
pub async fn load_app(
    tx: &ReadTx,
    tenant: TenantId,
    id: AppId,
    selection: ReleaseSelection,
) -> Result<Option<AppRows>, StorageError> {
    let scope = TenantScope::of_the_program(tenant);
    let (Some(app), Some(pair)) = (
        apps::find_by_id(tx, scope, id).await?,
        find_app_pair(tx, scope, id).await?,
    ) else {
        return Ok(None);
    };
    let resources = resources::list_all_of_app(tx, scope, id).await?;
    let releases = releases::list_all_of_app(tx, scope, id, selection).await?;
    let pins = pins::list_all_of_app(tx, scope, id).await?;
    Ok(Some(AppRows {
        app: app.value,
        pair,
        resources: values(resources),
        releases: releases.into_iter().map(|stored| stored.value.release).collect(),
        pins: values(pins),
    }))
}

async fn find_state(reader: &impl Reader, scope: TenantScope) -> Result<Option<CatalogState>, StorageError> {
    let row = catalog_revision::Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    row.map(read_state).transpose()
}

async fn find_app_pair(
    tx: &ReadTx,
    scope: TenantScope,
    id: AppId,
) -> Result<Option<CatalogPair>, StorageError> {
    let row = app::Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(tx.connection())
        .await?;
    Ok(row.map(|row| CatalogPair {
        revision: row.revision,
        head: row.head,
    }))
}

async fn list_app_summaries(tx: &ReadTx, scope: TenantScope) -> Result<Vec<AppSummary>, StorageError> {
    let rows = app::Entity::find()
        .filter(app::Column::TenantId.eq(scope.tenant().get()))
        .order_by_asc(app::Column::Id)
        .all(tx.connection())
        .await?;
    let summaries = rows.into_iter().map(|row| AppSummary {
        id: AppId::from_uuid(row.id),
        pair: CatalogPair {
            revision: row.revision,
            head: row.head,
        },
    });
    Ok(summaries.collect())
}

fn read_state(model: catalog_revision::Model) -> Result<CatalogState, StorageError> {
    let row = Row::of("catalog_revisions", model.tenant_id);
    Ok(CatalogState {
        tenant: row.column("tenant_id", TenantId::parse(model.tenant_id))?,
        pair: CatalogPair {
            revision: model.revision,
            head: model.head,
        },
        position: model.position,
    })
}

fn values<T>(rows: Vec<Stored<T>>) -> Vec<T> {
    rows.into_iter().map(|stored| stored.value).collect()
}
