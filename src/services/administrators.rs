//! Platform administrators, managed directly in the database by an operator who can read the installation's settings.

use chrono::{DateTime, Utc};

use super::ServiceError;
use super::audit::{self, Actor, AuditedChange};
use super::users::{LAST_ADMINISTRATOR, audited_update, is_last_administrator, write};
use crate::random;
use crate::secrets::hash_password;
use crate::storage::{Authority, Db, users};
use slipway_domain::access::{Platform, Role, User};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::UserId;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

/// Administrators in one statement; an installation has only a few.
const PAGE: u64 = 200;

pub async fn create(
    db: &Db,
    username: Username,
    password: String,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, ServiceError> {
    let hash = hash_password(password).await;
    let tx = db.begin().await?;
    let user = User {
        id: random::id::<UserId>(),
        tenant: None,
        username,
        role: Role::PlatformAdmin,
        enabled: true,
    };
    let stored = users::insert(&tx, user, hash.as_str().to_owned(), now).await?;
    let change = AuditedChange::created(AuditAction::UserCreate, &stored.value);
    audit::record_at(&tx, now, Actor::of_command_line(), None, change);
    tx.commit().await?;
    Ok(stored)
}

/// Lists all administrators, in the order of creation.
pub async fn list(db: &Db) -> Result<Vec<Versioned<User>>, ServiceError> {
    let mut page = PageRequest::first(PAGE);
    let mut all = Vec::new();
    loop {
        let found = users::list(db, Platform, &page).await?;
        all.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(all);
        }
    }
}

/// Sets a new password and ends the administrator's sessions.
pub async fn reset_password(
    db: &Db,
    username: &Username,
    password: String,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, ServiceError> {
    let hash = hash_password(password).await.as_str().to_owned();
    change(db, username, None, Some(hash), now).await
}

/// Disables or enables an administrator and ends their sessions.
pub async fn set_enabled(
    db: &Db,
    username: &Username,
    enabled: bool,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, ServiceError> {
    change(db, username, Some(enabled), None, now).await
}

async fn change(
    db: &Db,
    username: &Username,
    enabled: Option<bool>,
    password_hash: Option<String>,
    now: DateTime<Utc>,
) -> Result<Versioned<User>, ServiceError> {
    let (tx, administrators) = db.begin_on_administrators(Authority::Program).await?;
    let before = administrators
        .iter()
        .find(|stored| stored.value.username == *username)
        .ok_or(ServiceError::NotFound(
            "platform administrator; list them with `slipway admin list`",
        ))?;
    let after = User {
        enabled: enabled.unwrap_or(before.value.enabled),
        ..before.value.clone()
    };
    if after == before.value && password_hash.is_none() {
        return Ok(before.clone());
    }
    if enabled == Some(false) && is_last_administrator(&administrators, after.id) {
        return Err(ServiceError::wrong_state(LAST_ADMINISTRATOR));
    }
    let has_new_password = password_hash.is_some();
    let stored = write(&tx, before, after, password_hash, now).await?;
    let change = audited_update(before, &stored, has_new_password);
    audit::record_at(&tx, now, Actor::of_command_line(), None, change);
    tx.commit().await?;
    Ok(stored)
}
