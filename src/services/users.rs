//! People: the users of a tenant, and the administrators of the platform.
//!
//! At least one administrator stays enabled. A change of one therefore locks all administrators first: if two disable
//! each other concurrently, the second finds that it is the last.

use chrono::{DateTime, Utc};

use super::audit::{self, AuditedChange};
use super::owner::Owner;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::secrets::hash_password;
use crate::storage::users::UserScope;
use crate::storage::{Tx, sessions, users};
use slipway_domain::access::{Action, Role, User};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::UserId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

pub(super) const LAST_ADMINISTRATOR: &str = "this is the last enabled administrator of the platform; create another one first \
     (POST /api/v1/users, or `slipway admin create`)";

/// Owner of people.
pub trait UserOwner: Owner<Scope: Into<UserScope>> {}

impl<O: Owner<Scope: Into<UserScope>>> UserOwner for O {}

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
    owner: impl UserOwner,
    new: NewUser,
    once: IdempotentWrite<'_, Versioned<User>>,
) -> Result<Versioned<User>, ServiceError> {
    owner.authorize(ctx, caller, Action::ManageUsers).await?;
    let hash = hash_password(new.password).await;
    let user = User {
        id: random::id::<UserId>(),
        tenant: owner.tenant(),
        username: new.username,
        role: new.role,
        enabled: true,
    };
    let tx = ctx.begin(caller).await?;
    let stored = users::insert(&tx, user, hash.as_str().to_owned(), ctx.now()).await?;
    let change = AuditedChange::created(AuditAction::UserCreate, &stored.value);
    audit::record(&tx, ctx, caller, owner.tenant(), change);
    once.record(&tx, &stored);
    tx.commit().await?;
    Ok(stored)
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    owner: impl UserOwner,
    page: &PageRequest,
) -> Result<Page<Versioned<User>>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageUsers).await?;
    Ok(users::list(ctx.db(), scope, page).await?)
}

pub async fn get(
    ctx: &Context,
    caller: &Caller,
    owner: impl UserOwner,
    id: UserId,
) -> Result<Versioned<User>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageUsers).await?;
    let found = users::find(ctx.db(), scope, id).await?;
    found.ok_or(ServiceError::NotFound("user"))
}

/// Updates a user. Any change ends the user's sessions.
pub async fn update(
    ctx: &Context,
    caller: &Caller,
    owner: impl UserOwner,
    id: UserId,
    changes: UserChanges,
    precondition: &Precondition,
) -> Result<Versioned<User>, ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageUsers).await?;
    let hash = match changes.password {
        Some(password) => Some(hash_password(password).await.as_str().to_owned()),
        None => None,
    };
    let (tx, before, is_last) = begin_change(ctx, caller, scope.into(), id).await?;
    precondition.check(&before.etag)?;
    let after = User {
        role: changes.role.unwrap_or(before.value.role),
        enabled: changes.enabled.unwrap_or(before.value.enabled),
        ..before.value.clone()
    };
    if after == before.value && hash.is_none() {
        return Ok(before);
    }
    if is_last && !after.enabled {
        return Err(ServiceError::wrong_state(LAST_ADMINISTRATOR));
    }
    let has_new_password = hash.is_some();
    let stored = write(&tx, &before, after, hash, ctx.now()).await?;
    let change = audited_update(&before, &stored, has_new_password);
    audit::record(&tx, ctx, caller, owner.tenant(), change);
    tx.commit().await?;
    Ok(stored)
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    owner: impl UserOwner,
    id: UserId,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    let scope = owner.authorize(ctx, caller, Action::ManageUsers).await?;
    let (tx, before, is_last) = begin_change(ctx, caller, scope.into(), id).await?;
    precondition.check(&before.etag)?;
    if is_last {
        return Err(ServiceError::wrong_state(LAST_ADMINISTRATOR));
    }
    if !users::delete(&tx, scope, id).await? {
        return Err(ServiceError::NotFound("user"));
    }
    let change = AuditedChange::deleted(AuditAction::UserDelete, &before.value);
    audit::record(&tx, ctx, caller, owner.tenant(), change);
    tx.commit().await?;
    Ok(())
}

/// Begins a change of a user. Returns the user, and `true` if no other enabled administrator of the platform would
/// remain without them.
async fn begin_change(
    ctx: &Context,
    caller: &Caller,
    scope: UserScope,
    id: UserId,
) -> Result<(Tx, Versioned<User>, bool), ServiceError> {
    let (tx, found, is_last) = match scope {
        UserScope::Tenant(_) => {
            let tx = ctx.begin_on_credentials(caller, Some(id)).await?;
            let found = users::find(&tx, scope, id).await?;
            (tx, found, false)
        }
        UserScope::Platform => {
            let (tx, administrators) = ctx.begin_on_administrators(caller).await?;
            let is_last = is_last_administrator(&administrators, id);
            let found = administrators.into_iter().find(|stored| stored.value.id == id);
            (tx, found, is_last)
        }
    };
    let before = found.ok_or(ServiceError::NotFound("user"))?;
    Ok((tx, before, is_last))
}

/// Returns `true` if no other enabled administrator would remain. The administrators must be locked.
pub(super) fn is_last_administrator(administrators: &[Versioned<User>], id: UserId) -> bool {
    let is_another = |stored: &Versioned<User>| stored.value.id != id && stored.value.enabled;
    !administrators.iter().any(is_another)
}

/// Writes a changed user and ends their sessions.
pub(super) async fn write(
    tx: &Tx,
    before: &Versioned<User>,
    after: User,
    password_hash: Option<String>,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, ServiceError> {
    let id = after.id;
    let mut stored = users::update(tx, before, after, now).await?;
    if let Some(hash) = password_hash {
        stored = users::update_password(tx, &stored, hash, now).await?;
    }
    sessions::delete_of_user(tx, id).await?;
    Ok(stored)
}

pub(super) fn audited_update(
    before: &Versioned<User>,
    after: &Versioned<User>,
    has_new_password: bool,
) -> AuditedChange {
    let action = if has_new_password {
        AuditAction::UserSetPassword
    } else {
        AuditAction::UserUpdate
    };
    AuditedChange::changed(action, &before.value, &after.value)
}
