//! Keys of the device API. Nodes cache them in memory, so a write requires a [`CatalogTx`].

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entity::device_key::{Column, Entity, Model};
use super::page::{SortBy, fetch_page};
use super::row::Row;
use super::selection::{ByTenant, by_tenant, numbers};
use super::versioned::first_version;
use super::{CatalogTx, Reader, StorageError};
use slipway_domain::access::{DeviceKey, KeyFacts, TenantScope};
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    id: KeyId,
) -> Result<Option<Versioned<DeviceKey>>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), id.uuid()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Lists the device keys of a tenant in order of creation.
pub async fn list(
    reader: &impl Reader,
    scope: TenantScope,
    page: &PageRequest,
) -> Result<Page<Versioned<DeviceKey>>, StorageError> {
    fetch_page(
        page,
        reader,
        of_tenant(scope),
        SortBy::Ascending(Column::Id),
        |row| row.id,
    )
    .await?
    .try_map(read)
}

/// Verification data of a device key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeyHash {
    pub hash: String,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Lists the verification data of each key of these tenants.
pub(super) async fn list_secret_hashes(
    reader: &impl Reader,
    scopes: &[TenantScope],
) -> Result<ByTenant<(KeyId, DeviceKeyHash)>, StorageError> {
    let rows: Vec<(i64, Uuid, String, Option<DateTime<Utc>>)> = Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .select_only()
        .columns([
            Column::TenantId,
            Column::Id,
            Column::SecretHash,
            Column::ExpiresAt,
        ])
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let hashes = rows.into_iter().map(|(tenant, id, hash, expires_at)| {
        let hash = DeviceKeyHash { hash, expires_at };
        (tenant, (KeyId::from_uuid(id), hash))
    });
    Ok(by_tenant(hashes))
}

pub async fn insert(
    tx: &CatalogTx,
    value: DeviceKey,
    secret_hash: String,
    now: DateTime<Utc>,
) -> Result<Versioned<DeviceKey>, StorageError> {
    let stored = first_version(value, now);
    let row = Model {
        tenant_id: tx.tenant_id(),
        id: stored.value.id.uuid(),
        name: stored.value.name.as_str().to_owned(),
        secret_hash,
        created_by: stored.value.facts.created_by.clone(),
        expires_at: stored.value.facts.expires_at,
        last_used_on: stored.value.facts.last_used_on,
        etag: stored.etag.clone(),
        created_at: stored.created_at,
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(stored)
}

/// Returns `true` if the key existed.
pub async fn delete(tx: &CatalogTx, id: KeyId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id((tx.tenant_id(), id.uuid()))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected > 0)
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn read(model: Model) -> Result<Versioned<DeviceKey>, StorageError> {
    let row = Row::of("device_keys", model.id);
    Ok(Versioned {
        value: DeviceKey {
            id: KeyId::from_uuid(model.id),
            name: row.column("name", Name::parse(model.name))?,
            facts: KeyFacts {
                created_by: model.created_by,
                expires_at: model.expires_at,
                last_used_on: model.last_used_on,
            },
        },
        etag: model.etag,
        created_at: model.created_at,
        updated_at: model.created_at,
    })
}
