//! What every use case works with.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::checks::CheckCounts;
use super::device_records::DeviceRecorder;
use super::enrolment::EnrolmentLimits;
use super::key_uses::KeyUses;
use super::login_attempts::LoginAttempts;
use super::login_failures::LoginFailures;
use super::push_delivery::PushDelivery;
use super::write_health::{WriteFailure, WriteHealth};
use super::{CallLimits, DeviceLimits, HeavyCalls, NewDevices, Permits, ServiceError, TokenLookups};
use crate::access::{Action, Principal, Role, TenantScope, User, enter_tenant};
use crate::catalog::ids::{TenantId, UserId};
use crate::catalog::push::PushLifetimes;
use crate::clock::Clock;
use crate::live::{Live, Lookup, NewestTokens};
use crate::secrets::{AccessTokens, Keyring};
use crate::storage::{Authority, CatalogPair, CatalogTx, Cause, Db, Stored, Tx, in_micros, tenants};
use crate::supervision::Tasks;

/// The parts of a running server that use cases need.
pub struct Context {
    pub db: Db,
    pub live: Arc<Live>,
    pub newest_tokens: Arc<NewestTokens>,
    /// Tells this run of this node from every other.
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
    /// Set when the node is about to stop, so that balancers send nothing more.
    pub is_draining: AtomicBool,
    pub check_counts: CheckCounts,
    pub key_uses: KeyUses,
    pub device_records: DeviceRecorder,
    pub push_delivery: PushDelivery,
    pub write_health: WriteHealth,
    /// The background tasks of this node.
    pub tasks: Tasks,
    pub settings: Settings,
}

/// Numbers of the configuration that use cases read.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Seconds until a device that got nothing asks again.
    pub next_check_s: u32,
    /// Seconds until a device that got an offer asks again.
    pub next_check_after_offer_s: u32,
    pub push_lifetimes: PushLifetimes,
    /// How long a push is kept after it expired; `None`: for ever.
    pub push_retention: Option<TimeDelta>,
    /// Whether pushes are published to an MQTT broker.
    pub has_broker: bool,
}

impl Context {
    /// The current instant, in whole microseconds: what both databases keep and the API shows.
    pub fn now(&self) -> DateTime<Utc> {
        in_micros(self.clock.now())
    }

    /// Whether the database answers within a second.
    pub async fn database_answers(&self) -> bool {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.db.ping()).await;
        matches!(answer, Ok(Ok(())))
    }

    /// Why nothing can be written, if so.
    pub fn write_failure(&self, database_answers: bool) -> Option<WriteFailure> {
        let is_away = || (!database_answers).then(|| WriteFailure::by(Cause::Away));
        self.write_health.failure().or_else(is_away)
    }

    /// Lets a caller into a tenant that exists.
    pub(super) async fn enter(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
    ) -> Result<TenantScope, ServiceError> {
        let scope = enter_tenant(&caller.principal, tenant, action)?;
        // A tenant's own people prove by being there that it exists.
        if caller.principal.role == Role::PlatformAdmin
            && tenants::find(&self.db_for(caller), tenant).await?.is_none()
        {
            return Err(ServiceError::NotFound("tenant"));
        }
        Ok(scope)
    }

    /// Where the caller's statements go: what is urgent does not wait for the connections of others.
    pub(super) fn db_for(&self, caller: &Caller) -> Db {
        if caller.is_urgent {
            self.db.urgent()
        } else {
            self.db.clone()
        }
    }

    /// Begins a write in the caller's name.
    pub(super) async fn begin(&self, caller: &Caller) -> Result<Tx, ServiceError> {
        Ok(self.db_for(caller).begin_as(caller.authority()).await?)
    }

    /// Begins a write that may end or change the caller's own credential, or that of `other`.
    pub(super) async fn begin_on_credentials(
        &self,
        caller: &Caller,
        other: Option<UserId>,
    ) -> Result<Tx, ServiceError> {
        let db = self.db_for(caller);
        Ok(db.begin_on_credentials(caller.authority(), other).await?)
    }

    /// Begins a write that may end any administrator of the platform, and returns all of them.
    pub(super) async fn begin_on_administrators(
        &self,
        caller: &Caller,
    ) -> Result<(Tx, Vec<Stored<User>>), ServiceError> {
        Ok(self
            .db_for(caller)
            .begin_on_administrators(caller.authority())
            .await?)
    }

    /// Begins a change of a tenant's catalog in the caller's name.
    pub(super) async fn begin_catalog(
        &self,
        caller: &Caller,
        scope: TenantScope,
    ) -> Result<CatalogTx, ServiceError> {
        let db = self.db_for(caller);
        Ok(db.begin_catalog_as(scope, caller.authority()).await?)
    }

    /// Commits a change of the catalog and returns when this node serves it.
    pub(super) async fn commit(&self, tx: CatalogTx) -> Result<CatalogPair, ServiceError> {
        let tenant = tx.scope().tenant();
        let pair = tx.commit().await?;
        self.live.catch_up(tenant).await;
        Ok(pair)
    }

    /// Ends a write that found everything as it should be. Another node may have taken the change a moment ago, so
    /// this one too returns only when it serves it.
    pub(super) async fn unchanged<T>(&self, tx: CatalogTx, value: T) -> Written<T> {
        let tenant = tx.scope().tenant();
        drop(tx);
        self.live.catch_up(tenant).await;
        let pair = match self.live.tenant(tenant) {
            Lookup::Found(served) => Some(served.pair.clone()),
            Lookup::Absent | Lookup::Unknown => None,
        };
        Written { value, pair }
    }
}

/// Who asks, and in which request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub request_id: String,
    pub address: Option<IpAddr>,
    /// True if the call stops offers or takes a credential away, so that it must not wait behind others.
    pub is_urgent: bool,
}

impl Caller {
    /// In whose name the caller writes.
    pub(super) fn authority(&self) -> Authority {
        Authority::Principal(self.principal.clone())
    }
}

/// What a write came to, and the state of the catalog that has it (absent for what no check is answered from).
#[derive(Debug, Clone)]
pub struct Written<T> {
    pub value: T,
    pub pair: Option<CatalogPair>,
}

impl<T> Written<T> {
    pub(super) fn changed(value: T, pair: CatalogPair) -> Self {
        Self {
            value,
            pair: Some(pair),
        }
    }
}

/// What an `If-Match` demands of the object that is about to change (RFC 9110, section 13.1.1).
#[derive(Debug, Clone, Default)]
pub enum Precondition {
    #[default]
    None,
    /// The object must be there.
    Exists,
    /// The object must be in one of these states.
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
