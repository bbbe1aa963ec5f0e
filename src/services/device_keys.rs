//! Device keys, each shared by all devices of a tenant. The key is shown once and stored as a hash.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::random;
use crate::secrets::{NewToken, TokenKind};
use crate::storage::device_keys;
use slipway_domain::access::{Action, DeviceKey, KeyFacts};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// A new device key with its text, which is shown once.
pub struct IssuedDeviceKey {
    pub stored: Versioned<DeviceKey>,
    pub device_key: String,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    (name, expires_at): (Name, Option<DateTime<Utc>>),
    once: IdempotentWrite<'_, IssuedDeviceKey>,
) -> Result<WriteResult<IssuedDeviceKey>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let key = DeviceKey {
        id: random::id::<KeyId>(),
        name,
        facts: KeyFacts::new(&caller.principal, expires_at),
    };
    let secret = NewToken::generate(TokenKind::DeviceKey(tenant), key.id.uuid());
    let tx = ctx.begin_catalog(caller, scope).await?;
    let stored = device_keys::insert(&tx, key, secret.secret_hash, ctx.now()).await?;
    let issued = IssuedDeviceKey {
        stored,
        device_key: secret.text,
    };
    let change = AuditedChange::created(AuditAction::DeviceKeyCreate, &issued.stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    once.record(&tx, &issued).await?;
    Ok(WriteResult::changed(issued, ctx.commit(tx).await?))
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<Versioned<DeviceKey>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    Ok(device_keys::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
) -> Result<Versioned<DeviceKey>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let found = device_keys::find(ctx.db(), scope, id).await?;
    found.ok_or(ServiceError::NotFound("device key"))
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
    precondition: &Precondition,
) -> Result<WriteResult<()>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = device_keys::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("device key"))?;
    precondition.check(&before.etag)?;
    device_keys::delete(&tx, id).await?;
    let change = AuditedChange::deleted(AuditAction::DeviceKeyDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    Ok(WriteResult::changed((), ctx.commit(tx).await?))
}
