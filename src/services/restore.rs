//! Revocation of credentials after a restore of the database. A backup contains credentials that were revoked later as
//! if they were valid.

use chrono::{DateTime, NaiveDate, Utc};

use super::ServiceError;
use super::audit::{self, Actor, AuditedChange, RestoreDetails};
use crate::storage::credentials::{self, StoredCredential};
use crate::storage::device_tokens::{self, TokenEnd};
use crate::storage::{Db, StorageError, enrolment_codes, sessions, tenants, users};
use slipway_domain::access::{
    ApiToken, AppKey, ClientCredential, DeviceKey, Platform, PlatformToken, Role, TenantScope, User,
};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::versioned::Versioned;

/// Objects per page; each page is one statement.
const PAGE: u64 = 200;

/// Result of `restore-finish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationReport {
    pub sessions: u64,
    pub enrolment_codes: u64,
    pub device_tokens: u64,
    /// Generation up to which device tokens are invalid.
    pub generation: i64,
}

/// A credential that the restored database accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSummary {
    pub kind: &'static str,
    /// `None` for credentials of the platform.
    pub tenant: Option<TenantId>,
    pub id: String,
    pub name: String,
    pub role: &'static str,
    pub created_by: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_on: Option<NaiveDate>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Ends all sessions, one-time codes and device tokens.
///
/// The generation is raised to the current time in microseconds since 1970. It then exceeds every generation before or
/// after the backup, also for devices absent from it. It also exceeds the generation of an earlier restore.
///
/// With `guard` a device enrols its id again only with a one-time code. Otherwise it enrols as if for the first time.
pub async fn finish(db: &Db, guard: bool, now: DateTime<Utc>) -> Result<RevocationReport, ServiceError> {
    let generation = device_tokens::find_floor(db)
        .await?
        .max(now.timestamp_micros() - 1)
        + 1;
    let tx = db.begin().await?;
    // Done first, so that nodes refuse old tokens while the rows are still being written.
    device_tokens::set_floor(&tx, generation).await?;
    let sessions = sessions::delete_all(&tx).await?;
    let enrolment_codes = enrolment_codes::delete_all(&tx).await?;
    tx.commit().await?;
    let end = if guard {
        TokenEnd::Revoked
    } else {
        TokenEnd::Forgotten
    };
    let mut device_tokens = 0;
    for tenant in list_tenants(db).await? {
        device_tokens += device_tokens::raise(db, scope_of(tenant), generation, end, now).await?;
    }
    let report = RevocationReport {
        sessions,
        enrolment_codes,
        device_tokens,
        generation,
    };
    let details = RestoreDetails {
        sessions,
        enrolment_codes,
        device_tokens,
    };
    let change = AuditedChange::new(AuditAction::InstallationRestoreFinish, generation).with_after(&details);
    let tx = db.begin().await?;
    audit::record_at(&tx, now, Actor::of_command_line(), None, change);
    tx.commit().await?;
    Ok(report)
}

fn scope_of(tenant: TenantId) -> TenantScope {
    TenantScope::internal(tenant)
}

async fn list_tenants(db: &Db) -> Result<Vec<TenantId>, ServiceError> {
    every_page(
        async |page| tenants::list(db, &page).await,
        |stored| stored.value.id,
    )
    .await
}

/// Lists every credential that the database accepts: users, API tokens, and shared keys of devices and the gateway.
pub async fn list_credentials(db: &Db) -> Result<Vec<CredentialSummary>, ServiceError> {
    let mut all = every_page(
        async |page| users::list(db, Platform, &page).await,
        |stored| of_user(&stored),
    )
    .await?;
    let role = Role::PlatformAdmin.as_str();
    all.extend(list_keys(db, Platform, "platform_token", None, |_: &PlatformToken| role).await?);
    for tenant in list_tenants(db).await? {
        all.extend(list_of_tenant(db, tenant).await?);
    }
    Ok(all)
}

async fn list_of_tenant(db: &Db, tenant: TenantId) -> Result<Vec<CredentialSummary>, ServiceError> {
    let scope = scope_of(tenant);
    let mut all = every_page(
        async |page| users::list(db, scope, &page).await,
        |stored| of_user(&stored),
    )
    .await?;
    let owner = Some(tenant);
    let token_role = |token: &ApiToken| token.role.as_str();
    all.extend(list_keys(db, scope, "api_token", owner, token_role).await?);
    all.extend(list_keys(db, scope, "device_key", owner, |_: &DeviceKey| "device").await?);
    let app_keys = every_page(
        async |page| credentials::list(db, scope, &page).await,
        |stored: Versioned<AppKey>| {
            let key = &stored.value;
            CredentialSummary {
                name: format!("{} ({})", key.name, key.app_key),
                ..of_key(&stored, "app_key", owner, key.role.as_str())
            }
        },
    );
    all.extend(app_keys.await?);
    Ok(all)
}

fn of_user(stored: &Versioned<User>) -> CredentialSummary {
    let user = &stored.value;
    CredentialSummary {
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

async fn list_keys<K: StoredCredential>(
    db: &Db,
    scope: K::Scope,
    kind: &'static str,
    tenant: Option<TenantId>,
    role: impl Fn(&K) -> &'static str,
) -> Result<Vec<CredentialSummary>, ServiceError> {
    every_page(
        async |page| credentials::list(db, scope, &page).await,
        |stored| of_key(&stored, kind, tenant, role(&stored.value)),
    )
    .await
}

fn of_key(
    stored: &Versioned<impl ClientCredential>,
    kind: &'static str,
    tenant: Option<TenantId>,
    role: &'static str,
) -> CredentialSummary {
    let (key, facts) = (&stored.value, stored.value.facts());
    CredentialSummary {
        kind,
        tenant,
        id: key.id().to_string(),
        name: key.name().to_string(),
        role,
        created_by: facts.created_by.clone(),
        created_at: stored.created_at,
        last_used_on: facts.last_used_on,
        expires_at: facts.expires_at,
    }
}

/// Fetches all pages of a list and maps each item.
async fn every_page<T, U>(
    fetch: impl AsyncFn(PageRequest) -> Result<Page<T>, StorageError>,
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
