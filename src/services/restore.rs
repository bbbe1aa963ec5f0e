//! What remains to be done after the database was restored from a backup: credentials that were revoked after the
//! backup are in it as if they were valid.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;

use super::ServiceError;
use super::audit::{self, Actor, Change};
use crate::access::{KeyFacts, TenantScope, User};
use crate::catalog::ids::TenantId;
use crate::storage::device_tokens::{self, TokenState};
use crate::storage::{
    Db, PageRequest, Stored, api_tokens, app_keys, device_keys, enrolment_codes, platform_tokens, sessions,
    tenants, users,
};

/// Objects in one page; a page is one statement.
const PAGE: u64 = 200;

/// What `restore-finish` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    pub sessions: u64,
    pub enrolment_codes: u64,
    pub device_tokens: u64,
    /// Tokens of devices up to this generation are invalid.
    pub generation: i64,
}

/// A credential that the restored database accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub kind: &'static str,
    /// `None` for the platform's own.
    pub tenant: Option<TenantId>,
    pub id: String,
    pub name: String,
    pub role: &'static str,
    pub created_by: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_on: Option<NaiveDate>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Ends every session, every one-time code, and every token that a device holds.
///
/// The generation is raised to the microseconds since 1970: above any that a token had before or after the backup,
/// also for devices that are not in the backup, and above that of an earlier restore. `guard` keeps the ids for
/// devices that bring a one-time code; otherwise a device enrols as at the first time.
pub async fn finish(db: &Db, guard: bool, now: DateTime<Utc>) -> Result<Finished, ServiceError> {
    let generation = device_tokens::find_floor(db)
        .await?
        .max(now.timestamp_micros() - 1)
        + 1;
    let tx = db.begin().await?;
    // First of all, so that nodes refuse old tokens while the rows are still being written.
    device_tokens::set_floor(&tx, generation).await?;
    let sessions = sessions::delete_all(&tx).await?;
    let enrolment_codes = enrolment_codes::delete_all(&tx).await?;
    tx.commit().await?;
    let state = if guard {
        TokenState::Revoked
    } else {
        TokenState::Forgotten
    };
    let mut device_tokens = 0;
    for tenant in list_tenants(db).await? {
        device_tokens += device_tokens::raise(db, scope_of(tenant), (generation, &state), now).await?;
    }
    let finished = Finished {
        sessions,
        enrolment_codes,
        device_tokens,
        generation,
    };
    let change = Change {
        action: "installation.restore_finish",
        object_id: generation.to_string(),
        before: None,
        after: Some(json!({
            "sessions": sessions,
            "enrolment_codes": enrolment_codes,
            "device_tokens": device_tokens,
        })),
    };
    let tx = db.begin().await?;
    audit::record_at(&tx, now, Actor::of_command_line(), None, change).await?;
    tx.commit().await?;
    Ok(finished)
}

fn scope_of(tenant: TenantId) -> TenantScope {
    TenantScope::of_the_program(tenant)
}

async fn list_tenants(db: &Db) -> Result<Vec<TenantId>, ServiceError> {
    every_page(
        async |page| tenants::list(db, &page).await,
        |stored| stored.value.id,
    )
    .await
}

/// Every credential that the database accepts, of people, programs and devices' shared keys.
pub async fn list_credentials(db: &Db) -> Result<Vec<Credential>, ServiceError> {
    let mut all = every_page(
        async |page| users::list_administrators(db, &page).await,
        |stored| of_user(&stored),
    )
    .await?;
    let platform = every_page(
        async |page| platform_tokens::list(db, &page).await,
        |stored| {
            let token = &stored.value;
            let named = (token.id.to_string(), token.name.to_string(), token.role.as_str());
            of_key("platform_token", None, named, (&token.facts, stored.created_at))
        },
    );
    all.extend(platform.await?);
    for tenant in list_tenants(db).await? {
        all.extend(list_of_tenant(db, tenant).await?);
    }
    Ok(all)
}

async fn list_of_tenant(db: &Db, tenant: TenantId) -> Result<Vec<Credential>, ServiceError> {
    let scope = scope_of(tenant);
    let mut all = every_page(
        async |page| users::list(db, scope, &page).await,
        |stored| of_user(&stored),
    )
    .await?;
    let tokens = every_page(
        async |page| api_tokens::list(db, scope, &page).await,
        |stored| {
            let token = &stored.value;
            let named = (token.id.to_string(), token.name.to_string(), token.role.as_str());
            of_key(
                "api_token",
                Some(tenant),
                named,
                (&token.facts, stored.created_at),
            )
        },
    );
    all.extend(tokens.await?);
    let device_keys = every_page(
        async |page| device_keys::list(db, scope, &page).await,
        |stored| {
            let key = &stored.value;
            let named = (key.id.to_string(), key.name.to_string(), "device");
            of_key("device_key", Some(tenant), named, (&key.facts, stored.created_at))
        },
    );
    all.extend(device_keys.await?);
    let app_keys = every_page(
        async |page| app_keys::list(db, scope, &page).await,
        |stored| {
            let key = &stored.value;
            let named = (
                key.id.to_string(),
                format!("{} ({})", key.name, key.app_key),
                key.role.as_str(),
            );
            of_key("app_key", Some(tenant), named, (&key.facts, stored.created_at))
        },
    );
    all.extend(app_keys.await?);
    Ok(all)
}

fn of_user(stored: &Stored<User>) -> Credential {
    let user = &stored.value;
    Credential {
        kind: if user.enabled { "user" } else { "disabled_user" },
        tenant: user.tenant,
        id: user.id.to_string(),
        name: user.username.to_string(),
        role: user.role.as_str(),
        created_by: None,
        created_at: stored.created_at,
        last_used_on: None,
        expires_at: None,
    }
}

fn of_key(
    kind: &'static str,
    tenant: Option<TenantId>,
    (id, name, role): (String, String, &'static str),
    (facts, created_at): (&KeyFacts, DateTime<Utc>),
) -> Credential {
    Credential {
        kind,
        tenant,
        id,
        name,
        role,
        created_by: facts.created_by.clone(),
        created_at,
        last_used_on: facts.last_used_on,
        expires_at: facts.expires_at,
    }
}

/// Everything of a list, each item mapped.
async fn every_page<T, U>(
    fetch: impl AsyncFn(PageRequest) -> Result<crate::storage::Page<T>, crate::storage::StorageError>,
    map: impl Fn(T) -> U,
) -> Result<Vec<U>, ServiceError> {
    let mut page = PageRequest::first(PAGE);
    let mut all = Vec::new();
    loop {
        let found = fetch(page.clone()).await?;
        all.extend(found.items.into_iter().map(&map));
        page.after = found.next;
        if page.after.is_none() {
            return Ok(all);
        }
    }
}
