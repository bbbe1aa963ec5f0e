//! API tokens for pipelines. The secret is shown once and stored as a hash.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::secrets::{NewToken, TokenKind};
use crate::storage::api_tokens;
use slipway_domain::access::{Action, ApiToken, KeyFacts, Role};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// A new API token with its text, which is shown once.
pub struct IssuedApiToken {
    pub stored: Versioned<ApiToken>,
    pub token: String,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    (name, role, expires_at): (Name, Role, Option<DateTime<Utc>>),
    once: IdempotentWrite<'_, IssuedApiToken>,
) -> Result<IssuedApiToken, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let token = ApiToken {
        id: random::id::<KeyId>(),
        name,
        role,
        facts: KeyFacts::new(&caller.principal, expires_at),
    };
    let secret = NewToken::generate(TokenKind::Api, token.id.uuid());
    let tx = ctx.begin(caller).await?;
    let hash = secret.secret_hash.clone();
    let stored = api_tokens::insert(&tx, scope, token, secret.secret_hash, ctx.now()).await?;
    let issued = IssuedApiToken {
        stored,
        token: secret.text,
    };
    let change = AuditedChange::created(AuditAction::ApiTokenCreate, &issued.stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    once.record(&tx, &issued).await?;
    tx.commit().await?;
    ctx.authentication().token_lookups.record_valid(hash.as_str());
    Ok(issued)
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<Versioned<ApiToken>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    Ok(api_tokens::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
) -> Result<Versioned<ApiToken>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let found = api_tokens::find(ctx.db(), scope, id).await?;
    found.ok_or(ServiceError::NotFound("API token"))
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageKeys).await?;
    let tx = ctx.begin_on_credentials(caller, None).await?;
    let before = api_tokens::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("API token"))?;
    precondition.check(&before.etag)?;
    if !api_tokens::delete(&tx, scope, id).await? {
        return Err(ServiceError::NotFound("API token"));
    }
    let change = AuditedChange::deleted(AuditAction::ApiTokenDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    tx.commit().await?;
    Ok(())
}
