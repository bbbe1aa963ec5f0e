//! Platform administrators, managed over the API. `offline` is the equivalent for the command line.
//!
//! At least one administrator stays enabled. A removal or disabling therefore locks all administrators first: if two
//! disable each other concurrently, the second finds that it is the last.

mod offline;

pub use offline::{create as create_offline, list as list_offline, reset_password, set_enabled};

use super::audit::{self, AuditedChange};
use super::users::UserChanges;
use super::{Caller, Context, IdempotentWrite, Precondition, ServiceError};
use crate::random;
use crate::secrets::hash_password;
use crate::storage::{Tx, sessions, users};
use slipway_domain::access::{Action, Role, User, authorize_platform};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::UserId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

const LAST_ADMINISTRATOR: &str = "this is the last enabled administrator of the platform; create another one first \
     (POST /api/v1/users, or `slipway admin create`)";

pub async fn create(
    ctx: &Context,
    caller: &Caller,
    (username, password): (Username, String),
    once: IdempotentWrite<'_, Versioned<User>>,
) -> Result<Versioned<User>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let hash = hash_password(password).await;
    let tx = ctx.begin(caller).await?;
    let stored = users::insert(
        &tx,
        new_administrator(username),
        hash.as_str().to_owned(),
        ctx.now(),
    )
    .await?;
    let change = AuditedChange::created(AuditAction::UserCreate, &stored.value);
    audit::record(&tx, ctx, caller, None, change).await?;
    once.record(&tx, &stored).await?;
    tx.commit().await?;
    Ok(stored)
}

pub async fn list(
    ctx: &Context,
    caller: &Caller,
    page: &PageRequest,
) -> Result<Page<Versioned<User>>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    Ok(users::list_administrators(ctx.db(), page).await?)
}

pub async fn get(ctx: &Context, caller: &Caller, id: UserId) -> Result<Versioned<User>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let found = users::find_administrator(ctx.db(), id).await?;
    found.ok_or(ServiceError::NotFound("user"))
}

/// Changes an administrator. Any change ends their sessions.
pub async fn update(
    ctx: &Context,
    caller: &Caller,
    id: UserId,
    changes: UserChanges,
    precondition: &Precondition,
) -> Result<Versioned<User>, ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let hash = match changes.password {
        Some(password) => Some(hash_password(password).await.as_str().to_owned()),
        None => None,
    };
    let (tx, administrators) = ctx.begin_on_administrators(caller).await?;
    let before = find(&administrators, id)?;
    precondition.check(&before.etag)?;
    let after = User {
        enabled: changes.enabled.unwrap_or(before.value.enabled),
        ..before.value.clone()
    };
    if after == before.value && hash.is_none() {
        return Ok(before.clone());
    }
    if !after.enabled {
        require_another(&administrators, id)?;
    }
    let stored = write(&tx, before, (after, hash.clone()), ctx.now()).await?;
    audit::record(
        &tx,
        ctx,
        caller,
        None,
        audited_update(before, &stored, hash.is_some()),
    )
    .await?;
    tx.commit().await?;
    Ok(stored)
}

pub async fn delete(
    ctx: &Context,
    caller: &Caller,
    id: UserId,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    authorize_platform(&caller.principal, Action::ManagePlatform)?;
    let (tx, administrators) = ctx.begin_on_administrators(caller).await?;
    let before = find(&administrators, id)?;
    precondition.check(&before.etag)?;
    require_another(&administrators, id)?;
    users::delete_administrator(&tx, id).await?;
    let change = AuditedChange::deleted(AuditAction::UserDelete, &before.value);
    audit::record(&tx, ctx, caller, None, change).await?;
    tx.commit().await?;
    Ok(())
}

fn new_administrator(username: Username) -> User {
    User {
        id: random::id::<UserId>(),
        tenant: None,
        username,
        role: Role::PlatformAdmin,
        enabled: true,
    }
}

fn find(administrators: &[Versioned<User>], id: UserId) -> Result<&Versioned<User>, ServiceError> {
    administrators
        .iter()
        .find(|stored| stored.value.id == id)
        .ok_or(ServiceError::NotFound("user"))
}

/// Fails if no other enabled administrator would remain. The administrators must be locked.
fn require_another(administrators: &[Versioned<User>], id: UserId) -> Result<(), ServiceError> {
    let is_another = |stored: &Versioned<User>| stored.value.id != id && stored.value.enabled;
    if administrators.iter().any(is_another) {
        Ok(())
    } else {
        Err(ServiceError::wrong_state(LAST_ADMINISTRATOR))
    }
}

/// Writes a changed administrator and ends their sessions.
async fn write(
    tx: &Tx,
    before: &Versioned<User>,
    (after, password_hash): (User, Option<String>),
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Versioned<User>, ServiceError> {
    let id = after.id;
    let mut stored = users::update(tx, before, after, now).await?;
    if let Some(hash) = password_hash {
        stored = users::update_password(tx, &stored, hash, now).await?;
    }
    sessions::delete_of_user(tx, id).await?;
    Ok(stored)
}

fn audited_update(
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
