//! API tokens of the platform. The secret is shown once and stored as a hash.

use chrono::{DateTime, Utc};

use super::api_tokens::IssuedApiToken;
use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::secrets::{NewToken, TokenKind};
use crate::storage::platform_tokens;
use slipway_domain::access::{Action, ApiToken, KeyFacts, Role, authorize_platform};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    (name, expires_at): (Name, Option<DateTime<Utc>>),
    once: IdempotentWrite<'_, IssuedApiToken>,
) -> Result<IssuedApiToken, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let token = ApiToken {
        id: random::id::<KeyId>(),
        name,
        role: Role::PlatformAdmin,
        facts: KeyFacts::new(&caller.principal, expires_at),
    };
    let secret = NewToken::generate(TokenKind::Api, token.id.uuid());
    let hash = secret.secret_hash.clone();
    let tx = ctx.begin(caller).await?;
    let issued = IssuedApiToken {
        stored: platform_tokens::insert(&tx, token, secret.secret_hash, ctx.now()).await?,
        token: secret.text,
    };
    let change = AuditedChange::created(AuditAction::ApiTokenCreate, &issued.stored.value);
    audit::record(&tx, ctx, caller, None, change).await?;
    once.record(&tx, &issued).await?;
    tx.commit().await?;
    ctx.authentication().token_lookups.record_valid(hash.as_str());
    Ok(issued)
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    page: &PageRequest,
) -> Result<Page<Versioned<ApiToken>>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    Ok(platform_tokens::list(ctx.db(), page).await?)
}

pub async fn get(ctx: &Context, caller: &Caller, id: KeyId) -> Result<Versioned<ApiToken>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let found = platform_tokens::find(ctx.db(), id).await?;
    found.ok_or(ServiceError::NotFound("API token"))
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    id: KeyId,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let tx = ctx.begin_on_credentials(caller, None).await?;
    let before = platform_tokens::find(&tx, id)
        .await?
        .ok_or(ServiceError::NotFound("API token"))?;
    precondition.check(&before.etag)?;
    if !platform_tokens::delete(&tx, id).await? {
        return Err(ServiceError::NotFound("API token"));
    }
    let change = AuditedChange::deleted(AuditAction::ApiTokenDelete, &before.value);
    audit::record(&tx, ctx, caller, None, change).await?;
    tx.commit().await?;
    Ok(())
}
