//! Day of the last use of each credential.
//!
//! No check depends on it, so a plain [`Tx`] writes it. The rows keep their entity tags.

use chrono::NaiveDate;
use sea_orm::sea_query::{Condition, Expr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{StoredCredential, of_id};
use crate::storage::{Reader as _, StorageError, Tx};
use slipway_domain::access::{ApiToken, AppKey, DeviceKey, Platform, PlatformToken, TenantScope};
use slipway_domain::catalog::ids::{KeyId, TenantId};

/// Credential of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef {
    ApiToken(TenantId, KeyId),
    AppKey(TenantId, KeyId),
    DeviceKey(TenantId, KeyId),
    PlatformToken(KeyId),
}

/// Records that a credential was used on a day, unless a later day is stored.
pub async fn record_use(tx: &Tx, key: KeyRef, day: NaiveDate) -> Result<(), StorageError> {
    let scope = TenantScope::internal;
    match key {
        KeyRef::ApiToken(tenant, id) => update::<ApiToken>(tx, scope(tenant), id, day).await,
        KeyRef::AppKey(tenant, id) => update::<AppKey>(tx, scope(tenant), id, day).await,
        KeyRef::DeviceKey(tenant, id) => update::<DeviceKey>(tx, scope(tenant), id, day).await,
        KeyRef::PlatformToken(id) => update::<PlatformToken>(tx, Platform, id, day).await,
    }
}

async fn update<K: StoredCredential>(
    tx: &Tx,
    scope: K::Scope,
    id: KeyId,
    day: NaiveDate,
) -> Result<(), StorageError> {
    let is_later = Condition::any()
        .add(K::LAST_USED_ON.is_null())
        .add(K::LAST_USED_ON.lt(day));
    K::Entity::update_many()
        .col_expr(K::LAST_USED_ON, Expr::value(day))
        .filter(of_id::<K>(scope, id))
        .filter(is_later)
        .exec(tx.connection())
        .await?;
    Ok(())
}
