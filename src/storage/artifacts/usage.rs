//! Space that the artifacts of a tenant use.
//!
//! One row is locked by every upload, new link and deletion of the tenant. Two uploads can therefore not both take the
//! last free space, and no link number is given twice.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait, QuerySelect};

use super::super::entity::artifact_usage::{ActiveModel, Column, Entity};
use super::super::{Reader, StorageError, Writer};
use slipway_domain::access::TenantScope;

/// Space and links of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub used_bytes: i64,
    /// Number of the newest download link. Numbers are never reused, so that a withdrawn link stays invalid even if
    /// its file is deleted and uploaded again.
    pub last_link: i64,
}

impl Usage {
    const NONE: Self = Self {
        used_bytes: 0,
        last_link: 0,
    };
}

/// Returns the usage of a tenant without a lock.
pub async fn read_usage(reader: &impl Reader, scope: TenantScope) -> Result<Usage, StorageError> {
    let row = Entity::find_by_id(scope.tenant().get())
        .one(reader.connection())
        .await?;
    Ok(row.map_or(Usage::NONE, |row| Usage {
        used_bytes: row.used_bytes,
        last_link: row.last_link,
    }))
}

/// Locks the usage of a tenant until the end of the transaction, and returns it.
pub async fn lock_usage(tx: &impl Writer, scope: TenantScope) -> Result<Usage, StorageError> {
    let first = ActiveModel {
        tenant_id: Set(scope.tenant().get()),
        used_bytes: Set(0),
        last_link: Set(0),
    };
    // Makes sure that there is a row to lock.
    Entity::insert(first)
        .on_conflict(OnConflict::column(Column::TenantId).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    let row = Entity::find_by_id(scope.tenant().get())
        .lock_exclusive()
        .one(tx.connection())
        .await?;
    Ok(row.map_or(Usage::NONE, |row| Usage {
        used_bytes: row.used_bytes,
        last_link: row.last_link,
    }))
}

/// Writes the locked usage of a tenant.
pub(super) async fn write(tx: &impl Writer, scope: TenantScope, usage: &Usage) -> Result<(), StorageError> {
    Entity::update(ActiveModel {
        tenant_id: Set(scope.tenant().get()),
        used_bytes: Set(usage.used_bytes),
        last_link: Set(usage.last_link),
    })
    .exec(tx.connection())
    .await?;
    Ok(())
}
