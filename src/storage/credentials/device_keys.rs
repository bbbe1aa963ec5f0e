//! Keys of the device API.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use super::StoredCredential;
use super::columns::CommonColumns;
use crate::storage::entity::device_key::{ActiveModel, Column, Entity, Model};
use crate::storage::selection::{ByTenant, by_tenant, numbers};
use crate::storage::{CatalogTx, Reader, StorageError};
use slipway_domain::access::{DeviceKey, TenantScope};
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::versioned::Versioned;

/// Stored with the hash of the secret.
impl StoredCredential for DeviceKey {
    type Scope = TenantScope;
    type Tx = CatalogTx;
    type Secret = String;
    type Entity = Entity;

    const ID: Column = Column::Id;
    const LAST_USED_ON: Column = Column::LastUsedOn;

    fn of_owner(scope: TenantScope) -> Condition {
        Condition::all().add(Column::TenantId.eq(scope.tenant().get()))
    }

    fn to_row(stored: &Versioned<Self>, scope: TenantScope, secret_hash: String) -> ActiveModel {
        ActiveModel {
            tenant_id: Set(scope.tenant().get()),
            secret_hash: Set(secret_hash),
            ..stored.into()
        }
    }

    fn read(row: Model) -> Result<Versioned<Self>, StorageError> {
        CommonColumns::from(row).read(|id, name, facts| Self { id, name, facts })
    }
}

/// Verification data of a device key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeyHash {
    pub hash: String,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Lists the verification data of each key of these tenants.
pub(in crate::storage) async fn list_secret_hashes(
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
