//! Shared context of all use cases.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::check_counts::CheckCounts;
use super::device_records::DeviceRecorder;
use super::enrolment_limits::EnrolmentLimits;
use super::key_uses::KeyUses;
use super::login_attempts::LoginAttempts;
use super::login_failures::LoginFailures;
use super::push_delivery::PushDelivery;
use super::write_health::{WriteFailure, WriteHealth};
use super::{CallLimits, DeviceLimits, HeavyCalls, NewDevices, Permits, ServiceError, TokenLookups};
use crate::clock::Clock;
use crate::live::{CatalogCache, Lookup, RevokedTokens};
use crate::secrets::{AccessTokens, Keyring};
use crate::storage::{Authority, CatalogRevision, CatalogTx, Cause, Db, Tx, Versioned, in_micros, tenants};
use crate::supervision::Tasks;
use slipway_domain::access::{Action, Principal, Role, TenantScope, User, authorize_tenant};
use slipway_domain::catalog::ids::{TenantId, UserId};
use slipway_domain::catalog::push::PushLifetimes;

/// Components of a running server that use cases need.
pub struct Context {
    pub db: Db,
    pub live: Arc<CatalogCache>,
    pub revoked_tokens: Arc<RevokedTokens>,
    /// Id of this run of the node.
    pub node: Uuid,
    pub clock: Arc<dyn Clock>,
    pub keyring: Arc<Keyring>,
    pub access_tokens: AccessTokens,
    pub login_attempts: LoginAttempts,
    pub token_lookups: TokenLookups,
    pub login_failures: LoginFailures,
    pub call_limits: CallLimits,
    pub device_limits: DeviceLimits,
    pub enrolment_limits: EnrolmentLimits,
    pub new_devices: Arc<NewDevices>,
    pub permits: Permits,
    pub heavy_calls: HeavyCalls,
    /// Set shortly before the node stops, so that load balancers send no more requests.
    pub is_draining: AtomicBool,
    pub check_counts: CheckCounts,
    pub key_uses: KeyUses,
    pub device_records: DeviceRecorder,
    pub push_delivery: PushDelivery,
    pub write_health: WriteHealth,
    pub tasks: Tasks,
    pub settings: Settings,
}

/// Configuration values that use cases read.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Seconds until the next check of a device that got no offer.
    pub next_check_s: u32,
    /// Seconds until the next check of a device that got an offer.
    pub next_check_after_offer_s: u32,
    pub push_lifetimes: PushLifetimes,
    /// Retention of a push after its expiry; `None` = forever.
    pub push_retention: Option<TimeDelta>,
    /// `true` if pushes are published to an MQTT broker.
    pub has_broker: bool,
}

impl Context {
    /// Returns the current time in whole microseconds, the precision of both databases and the API.
    pub fn now(&self) -> DateTime<Utc> {
        in_micros(self.clock.now())
    }

    /// Returns `true` if the database answers within a second.
    pub async fn database_answers(&self) -> bool {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.db.ping()).await;
        matches!(answer, Ok(Ok(())))
    }

    /// Returns the reason that writes fail, or `None` while they work.
    pub fn write_failure(&self, database_answers: bool) -> Option<WriteFailure> {
        let is_away = || (!database_answers).then(|| WriteFailure::from_cause(Cause::Away));
        self.write_health.failure().or_else(is_away)
    }

    /// Authorizes a caller for an action in a tenant. Fails if the tenant does not exist.
    pub(super) async fn authorize(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
    ) -> Result<TenantScope, ServiceError> {
        let scope = authorize_tenant(&caller.principal, tenant, action)?;
        // The tenant exists if the caller is one of its own users or tokens.
        if caller.principal.role == Role::PlatformAdmin
            && tenants::find(&self.db_for(caller), tenant).await?.is_none()
        {
            return Err(ServiceError::NotFound("tenant"));
        }
        Ok(scope)
    }

    /// Returns the database for the caller's statements. Urgent callers use connections of their own and go first.
    pub(super) fn db_for(&self, caller: &Caller) -> Db {
        if caller.is_urgent {
            self.db.urgent()
        } else {
            self.db.clone()
        }
    }

    /// Begins a write with the caller's authority.
    pub(super) async fn begin(&self, caller: &Caller) -> Result<Tx, ServiceError> {
        Ok(self.db_for(caller).begin_as(caller.authority()).await?)
    }

    /// Begins a write that may revoke or change the credential of the caller or of the user `other`.
    pub(super) async fn begin_on_credentials(
        &self,
        caller: &Caller,
        other: Option<UserId>,
    ) -> Result<Tx, ServiceError> {
        let db = self.db_for(caller);
        Ok(db.begin_on_credentials(caller.authority(), other).await?)
    }

    /// Begins a write that may remove or disable any platform administrator. Returns all administrators.
    pub(super) async fn begin_on_administrators(
        &self,
        caller: &Caller,
    ) -> Result<(Tx, Vec<Versioned<User>>), ServiceError> {
        Ok(self
            .db_for(caller)
            .begin_on_administrators(caller.authority())
            .await?)
    }

    /// Begins a catalog write with the caller's authority.
    pub(super) async fn begin_catalog(
        &self,
        caller: &Caller,
        scope: TenantScope,
    ) -> Result<CatalogTx, ServiceError> {
        let db = self.db_for(caller);
        Ok(db.begin_catalog_as(scope, caller.authority()).await?)
    }

    /// Commits a catalog write and waits until this node serves it.
    pub(super) async fn commit(&self, tx: CatalogTx) -> Result<CatalogRevision, ServiceError> {
        let tenant = tx.scope().tenant();
        let revision = tx.commit().await?;
        self.live.catch_up(tenant).await;
        Ok(revision)
    }

    /// Ends a write that changes nothing.
    ///
    /// Another node may have committed the same change a moment ago, so this also waits until this node serves it.
    pub(super) async fn unchanged<T>(&self, tx: CatalogTx, value: T) -> WriteResult<T> {
        let tenant = tx.scope().tenant();
        drop(tx);
        self.live.catch_up(tenant).await;
        let revision = match self.live.tenant(tenant) {
            Lookup::Found(served) => Some(served.revision.clone()),
            Lookup::Absent | Lookup::Unknown => None,
        };
        WriteResult { value, revision }
    }
}

/// Authenticated caller and its request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub request_id: String,
    pub address: Option<IpAddr>,
    /// `true` if the call stops offers or revokes a credential, so that it must not queue behind others.
    pub is_urgent: bool,
}

impl Caller {
    /// Returns the authority that the caller's writes are checked against.
    pub(super) fn authority(&self) -> Authority {
        Authority::Principal(self.principal.clone())
    }
}

/// Result of a write and the catalog revision that contains it. `revision` is `None` if no check depends on the value.
#[derive(Debug, Clone)]
pub struct WriteResult<T> {
    pub value: T,
    pub revision: Option<CatalogRevision>,
}

impl<T> WriteResult<T> {
    pub(super) fn changed(value: T, revision: CatalogRevision) -> Self {
        Self {
            value,
            revision: Some(revision),
        }
    }
}

/// `If-Match` condition on the object to change (RFC 9110, section 13.1.1).
#[derive(Debug, Clone, Default)]
pub enum Precondition {
    #[default]
    None,
    /// The object must exist.
    Exists,
    /// The object must have one of these entity tags.
    OneOf(Vec<String>),
}

impl Precondition {
    pub(super) fn check(&self, etag: &str) -> Result<(), ServiceError> {
        match self {
            Self::OneOf(etags) if !etags.iter().any(|wanted| wanted == etag) => Err(ServiceError::Stale),
            _ => Ok(()),
        }
    }
}
