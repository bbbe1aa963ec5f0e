//! Keys of the device API.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::Uuid;
use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, Select,
    TryGetableMany as _,
};
use serde::{Deserialize, Serialize};

use super::StoredCredential;
use super::columns::CommonColumns;
use crate::storage::entity::device_key::{ActiveModel, Column, Entity, Model};
use crate::storage::selection::{ByTenant, by_tenant, numbers};
use crate::storage::{CatalogTx, StorageError};
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
pub(in crate::storage) fn secret_hashes_of(scopes: &[TenantScope]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.is_in(numbers(scopes)))
        .select_only()
        .columns([
            Column::TenantId,
            Column::Id,
            Column::SecretHash,
            Column::ExpiresAt,
        ])
        .order_by_asc(Column::Id)
}

/// Reads the rows of [`secret_hashes_of`].
pub(in crate::storage) fn read_secret_hashes(
    rows: &[QueryResult],
) -> Result<ByTenant<(KeyId, DeviceKeyHash)>, StorageError> {
    type Columns = (i64, Uuid, String, Option<DateTime<Utc>>);
    let hashes = rows.iter().map(|row| {
        let (tenant, id, hash, expires_at) = Columns::try_get_many_by_index(row).map_err(DbErr::from)?;
        Ok((tenant, (KeyId::from_uuid(id), DeviceKeyHash { hash, expires_at })))
    });
    Ok(by_tenant(hashes.collect::<Result<Vec<_>, StorageError>>()?))
}
