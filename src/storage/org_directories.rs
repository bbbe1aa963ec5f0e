//! Org directories: one document per tenant, read and written as a whole.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryResult, QuerySelect, Select,
    TryGetableMany as _,
};

use super::entity::org_directory::{Column, Entity, Model};
use super::etag::random_tag;
use super::row::{Row, to_json};
use super::selection::{ByTenant, by_tenant, numbers};
use super::{CatalogTx, Reader, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::org::OrgNode;

/// Org directory of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRecord {
    pub nodes: Vec<OrgNode>,
    pub etag: String,
    pub updated_at: DateTime<Utc>,
}

/// Org directory of a tenant with its nodes as JSON, which is passed on without being parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryText {
    pub nodes: String,
    pub etag: String,
}

/// Returns the entity tag of the directory; `None` until the first one is written.
pub async fn find_etag(reader: &impl Reader, scope: TenantScope) -> Result<Option<String>, StorageError> {
    let etag = Entity::find_by_id(scope.tenant().get())
        .select_only()
        .column(Column::Etag)
        .into_tuple()
        .one(reader.connection())
        .await?;
    Ok(etag)
}

/// Returns `None` until the first directory is written.
pub async fn find_text(
    reader: &impl Reader,
    scope: TenantScope,
) -> Result<Option<DirectoryText>, StorageError> {
    let row: Option<(String, String)> = Entity::find_by_id(scope.tenant().get())
        .select_only()
        .columns([Column::Nodes, Column::Etag])
        .into_tuple()
        .one(reader.connection())
        .await?;
    Ok(row.map(|(nodes, etag)| DirectoryText { nodes, etag }))
}

/// Returns `None` until the first directory is written.
pub async fn find(reader: &impl Reader, scope: TenantScope) -> Result<Option<DirectoryRecord>, StorageError> {
    let row = Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Lists the entity tags of these tenants' directories.
pub(super) fn etags_of(scopes: &[TenantScope]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .select_only()
        .columns([Column::TenantId, Column::Etag])
}

/// Reads the rows of [`etags_of`].
pub(super) fn read_etags(rows: &[QueryResult]) -> Result<ByTenant<String>, StorageError> {
    let etags: Result<Vec<_>, _> = rows.iter().map(<(i64, String)>::try_get_many_by_index).collect();
    Ok(by_tenant(etags.map_err(sea_orm::DbErr::from)?))
}

/// Replaces the tenant's directory.
pub async fn replace(
    tx: &CatalogTx,
    nodes: Vec<OrgNode>,
    now: DateTime<Utc>,
) -> Result<DirectoryRecord, StorageError> {
    let row = Model {
        tenant_id: tx.tenant_id(),
        nodes: to_json(&nodes),
        etag: random_tag(),
        updated_at: in_micros(now),
    };
    let stored = DirectoryRecord {
        nodes,
        etag: row.etag.clone(),
        updated_at: row.updated_at,
    };
    let overwrite = OnConflict::column(Column::TenantId)
        .update_columns([Column::Nodes, Column::Etag, Column::UpdatedAt])
        .to_owned();
    Entity::insert(row.into_active_model())
        .on_conflict(overwrite)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(stored)
}

fn read(model: Model) -> Result<DirectoryRecord, StorageError> {
    let row = Row::of("org_directories", model.tenant_id);
    Ok(DirectoryRecord {
        nodes: row.column("nodes", serde_json::from_str(&model.nodes))?,
        etag: model.etag,
        updated_at: model.updated_at,
    })
}
