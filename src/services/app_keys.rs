//! Gateway keys. The secret is shown once. It is stored encrypted, because it must be readable to verify signatures.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError, WriteResult};
use crate::random;
use crate::secrets::{new_app_key, new_app_secret, sealed_for_app_key};
use crate::storage::app_keys;
use slipway_domain::access::{Action, AppKey, AppKeyRole, KeyFacts};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// A new or rotated gateway key with its secret, which is shown once.
pub struct IssuedAppKey {
    pub stored: Versioned<AppKey>,
    pub app_secret: String,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    (name, role, expires_at): (Name, AppKeyRole, Option<DateTime<Utc>>),
    once: IdempotentWrite<'_, IssuedAppKey>,
) -> Result<WriteResult<IssuedAppKey>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let key = AppKey {
        id: random::id::<KeyId>(),
        name,
        role,
        app_key: new_app_key(),
        facts: KeyFacts::new(&caller.principal, expires_at),
    };
    let app_secret = new_app_secret();
    let sealed = seal(ctx, key.id, &app_secret)?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let stored = app_keys::insert(&tx, key, sealed, ctx.now()).await?;
    let issued = IssuedAppKey { stored, app_secret };
    let change = AuditedChange::created(AuditAction::AppKeyCreate, &issued.stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    once.record(&tx, &issued).await?;
    Ok(WriteResult::changed(issued, ctx.commit(tx).await?))
}

/// Rotates the secret of a key. The previous secret remains valid until the next rotation.
pub async fn rotate(
    ctx: &Context,
    caller: &Caller,
    (tenant, id): (TenantId, KeyId),
    precondition: &Precondition,
    once: IdempotentWrite<'_, IssuedAppKey>,
) -> Result<WriteResult<IssuedAppKey>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let app_secret = new_app_secret();
    let sealed = seal(ctx, id, &app_secret)?;
    let tx = ctx.begin_catalog(caller, scope).await?;
    let before = app_keys::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("app key"))?;
    precondition.check(&before.etag)?;
    let stored = app_keys::rotate(&tx, &before, sealed)
        .await?
        .ok_or(ServiceError::NotFound("app key"))?;
    let issued = IssuedAppKey { stored, app_secret };
    let change = AuditedChange::changed(AuditAction::AppKeyRotate, &before.value, &issued.stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    once.record(&tx, &issued).await?;
    Ok(WriteResult::changed(issued, ctx.commit(tx).await?))
}

fn seal(ctx: &Context, id: KeyId, app_secret: &str) -> Result<app_keys::SealedSecret, ServiceError> {
    let sealed = ctx
        .keyring()
        .seal(app_secret, &sealed_for_app_key(id))
        .map_err(ServiceError::internal)?;
    Ok(app_keys::SealedSecret {
        text: sealed.sealed,
        sealing_key_id: sealed.key_id,
    })
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<Versioned<AppKey>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    Ok(app_keys::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
) -> Result<Versioned<AppKey>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let found = app_keys::find(ctx.db(), scope, id).await?;
    found.ok_or(ServiceError::NotFound("app key"))
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
    let before = app_keys::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("app key"))?;
    precondition.check(&before.etag)?;
    app_keys::delete(&tx, id).await?;
    let change = AuditedChange::deleted(AuditAction::AppKeyDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    Ok(WriteResult::changed((), ctx.commit(tx).await?))
}
