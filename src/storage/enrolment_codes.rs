//! One-time codes that enrol devices. A used code is deleted.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::entity::enrolment_code::{Column, Entity, Model};
use super::{Db, Reader, StorageError, Tx};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::DeviceId;

/// Enrolment code with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    pub id: Uuid,
    pub device: DeviceId,
    pub code_hash: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Lists the hashes of a device's valid codes.
pub async fn list_hashes(
    reader: &impl Reader,
    scope: TenantScope,
    device: &DeviceId,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StorageError> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::DeviceId.eq(device.as_str()))
        .filter(Column::ExpiresAt.gt(in_micros(now)))
        .all(reader.connection())
        .await?;
    Ok(rows.into_iter().map(|row| row.code_hash).collect())
}

pub async fn insert(tx: &Tx, scope: TenantScope, code: CodeRecord) -> Result<(), StorageError> {
    let row = Model {
        tenant_id: scope.tenant().get(),
        id: code.id,
        device_id: code.device.into_string(),
        code_hash: code.code_hash,
        created_at: in_micros(code.created_at),
        expires_at: in_micros(code.expires_at),
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Deletes every code of a device.
pub async fn delete_of_device(tx: &Tx, scope: TenantScope, device: &DeviceId) -> Result<(), StorageError> {
    Entity::delete_many()
        .filter(Column::TenantId.eq(scope.tenant().get()))
        .filter(Column::DeviceId.eq(device.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Deletes every code of all tenants and returns their number.
pub async fn delete_all(tx: &Tx) -> Result<u64, StorageError> {
    let deleted = Entity::delete_many().exec(tx.connection()).await?;
    Ok(deleted.rows_affected)
}

/// Deletes the expired codes of all tenants and returns their number.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::ExpiresAt.lte(in_micros(now)))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}
