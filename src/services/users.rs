//! Users of a tenant.

use super::audit::{self, AuditedChange};
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::secrets::hash_password;
use crate::storage::{sessions, users};
use slipway_domain::access::{Action, Role, User};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{TenantId, UserId};
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

/// Input for a new user.
pub struct NewUser {
    pub username: Username,
    pub password: String,
    pub role: Role,
}

/// Changes to a user. Absent fields stay unchanged.
#[derive(Default)]
pub struct UserChanges {
    pub role: Option<Role>,
    pub enabled: Option<bool>,
    pub password: Option<String>,
}

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    new: NewUser,
    once: IdempotentWrite<'_, Versioned<User>>,
) -> Result<Versioned<User>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageUsers).await?;
    let hash = hash_password(new.password).await;
    let user = User {
        id: random::id::<UserId>(),
        tenant: Some(scope.tenant()),
        username: new.username,
        role: new.role,
        enabled: true,
    };
    let tx = ctx.begin(caller).await?;
    let stored = users::insert(&tx, user, hash.as_str().to_owned(), ctx.now()).await?;
    let change = AuditedChange::created(AuditAction::UserCreate, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    once.record(&tx, &stored).await?;
    tx.commit().await?;
    Ok(stored)
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    page: &PageRequest,
) -> Result<Page<Versioned<User>>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageUsers).await?;
    Ok(users::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: UserId,
) -> Result<Versioned<User>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageUsers).await?;
    users::find(ctx.db(), scope, id)
        .await?
        .ok_or(ServiceError::NotFound("user"))
}

/// Updates a user. Any change ends the user's sessions.
pub async fn update(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: UserId,
    changes: UserChanges,
    precondition: &Precondition,
) -> Result<Versioned<User>, ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageUsers).await?;
    let hash = match changes.password {
        Some(password) => Some(hash_password(password).await),
        None => None,
    };
    let tx = ctx.begin_on_credentials(caller, Some(id)).await?;
    let before = users::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("user"))?;
    precondition.check(&before.etag)?;
    let after = User {
        role: changes.role.unwrap_or(before.value.role),
        enabled: changes.enabled.unwrap_or(before.value.enabled),
        ..before.value.clone()
    };
    if after == before.value && hash.is_none() {
        return Ok(before);
    }
    let mut stored = users::update(&tx, &before, after, ctx.now()).await?;
    if let Some(hash) = &hash {
        stored = users::update_password(&tx, &stored, hash.as_str().to_owned(), ctx.now()).await?;
    }
    sessions::delete_of_user(&tx, id).await?;
    let action = if hash.is_some() {
        AuditAction::UserSetPassword
    } else {
        AuditAction::UserUpdate
    };
    let change = AuditedChange::changed(action, &before.value, &stored.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    tx.commit().await?;
    Ok(stored)
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    tenant: TenantId,
    id: UserId,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    let scope = ctx.authorize(caller, tenant, Action::ManageUsers).await?;
    let tx = ctx.begin_on_credentials(caller, Some(id)).await?;
    let before = users::find(&tx, scope, id)
        .await?
        .ok_or(ServiceError::NotFound("user"))?;
    precondition.check(&before.etag)?;
    if !users::delete(&tx, scope, id).await? {
        return Err(ServiceError::NotFound("user"));
    }
    let change = AuditedChange::deleted(AuditAction::UserDelete, &before.value);
    audit::record(&tx, ctx, caller, Some(tenant), change).await?;
    tx.commit().await?;
    Ok(())
}
