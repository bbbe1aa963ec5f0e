//! The check: authenticates a device and computes its offers, from memory alone.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ServiceError;
use super::check_path::CheckPath;
use crate::live::{Lookup, PublishedTenant};
use crate::secrets::{PresentedDeviceToken, PresentedToken, TokenKind, secret_matches};
use crate::storage::key_uses::KeyRef;
use slipway_domain::access::has_expired;
use slipway_domain::catalog::field::excerpt;
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_resolver::{Check, CheckContext, Offer, decide};

const WRONG_KEY: ServiceError = ServiceError::Unauthenticated(
    "send the tenant's device key as Authorization: Bearer slipway_device_…, or the device's own token",
);
const EXPIRED_KEY: ServiceError =
    ServiceError::Unauthenticated("this device key has expired; ask a tenant administrator for a new one");
pub(super) const WRONG_TOKEN: ServiceError = ServiceError::Unauthenticated(
    "the token belongs to another device_id, or was replaced or revoked; enrol the device again with POST /v1/devices",
);

/// A caller with a device credential of a tenant.
pub struct AuthenticatedDevice {
    tenant: Arc<PublishedTenant>,
    pub(super) credential: DeviceCredential,
}

/// Credential that a device presents.
pub(super) enum DeviceCredential {
    /// The tenant's shared device key, verified.
    Key(KeyId),
    /// A token of one device, not verified yet. Verification needs the device's id.
    Token(PresentedDeviceToken),
}

/// State of the device's own token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceTokenState {
    Current,
    /// Made with a secret key other than the first.
    UnderOldKey,
}

/// App that a check names and its tenant does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownApp<'a> {
    tenant: TenantId,
    package_name: &'a str,
}

impl fmt::Display for UnknownApp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tenant {} has no app {}",
            self.tenant,
            excerpt(self.package_name)
        )
    }
}

/// Answer to a check.
pub struct CheckAnswer<'a> {
    pub offers: Vec<Offer<'a>>,
    /// Set if the tenant does not have the app.
    pub unknown_app: Option<UnknownApp<'a>>,
    pub next_check_after_s: u32,
    /// Revision of the catalog behind the answer, as `<revision>.<head>`.
    pub revision: &'a str,
    pub stale_for: Option<TimeDelta>,
    /// Number of pending pushes. `None` unless the device authenticated with its own token.
    pub pushes_waiting: Option<usize>,
    /// `true` if the device should enrol again, because its token needs a secret key that is about to be removed.
    pub token_renewal_due: bool,
}

/// Authenticates a bearer token as a device key. A device's own token is verified later, when the device's id is known.
pub fn authenticate(checks: &CheckPath, bearer: Option<&str>) -> Result<AuthenticatedDevice, ServiceError> {
    let Some(presented) = bearer.and_then(PresentedToken::parse) else {
        let token = bearer.and_then(PresentedDeviceToken::parse).ok_or(WRONG_KEY)?;
        return Ok(AuthenticatedDevice {
            tenant: find_tenant(checks, token.tenant)?,
            credential: DeviceCredential::Token(token),
        });
    };
    let TokenKind::DeviceKey(tenant) = presented.kind else {
        return Err(WRONG_KEY);
    };
    let tenant = find_tenant(checks, tenant)?;
    let key = KeyId::from_uuid(presented.id);
    let now = checks.now();
    match tenant.device_key(key) {
        Some(stored) if !secret_matches(&presented, &stored.hash) => return Err(WRONG_KEY),
        Some(stored) if has_expired(stored.expires_at, now) => return Err(EXPIRED_KEY),
        Some(_) => {}
        None => return Err(WRONG_KEY),
    }
    checks
        .key_uses
        .record(KeyRef::DeviceKey(tenant.tenant.id, key), now);
    let credential = DeviceCredential::Key(key);
    Ok(AuthenticatedDevice { tenant, credential })
}

fn find_tenant(checks: &CheckPath, tenant: TenantId) -> Result<Arc<PublishedTenant>, ServiceError> {
    match checks.catalog.tenant(tenant) {
        Lookup::Found(tenant) => Ok(tenant),
        Lookup::Absent => Err(WRONG_KEY),
        // The tenant is not loaded, so the validity of its keys is unknown.
        Lookup::Unknown => Err(ServiceError::NoCatalog),
    }
}

impl AuthenticatedDevice {
    /// Answers a check. `claimed` is the tenant named in the request, if any.
    pub fn check<'a>(
        &'a self,
        checks: &CheckPath,
        claimed: Option<TenantId>,
        check: Check<'a>,
        source: Option<IpAddr>,
    ) -> Result<CheckAnswer<'a>, ServiceError> {
        let (tenant, device) = (self.tenant_id(), check.device_id);
        let token_state = self.verify_own_token(checks, device)?;
        let answer = answer(checks, &self.tenant, claimed, check, source)?;
        let waiting = || checks.pending_pushes.count(tenant, device, checks.now());
        Ok(CheckAnswer {
            pushes_waiting: token_state.map(|_| waiting()),
            token_renewal_due: token_state == Some(DeviceTokenState::UnderOldKey),
            ..answer
        })
    }

    pub fn tenant_id(&self) -> TenantId {
        self.tenant.tenant.id
    }

    pub(super) fn tenant_is_enabled(&self) -> bool {
        self.tenant.tenant.enabled
    }

    /// Returns the state of the device's own token, or `None` for a device key.
    ///
    /// Fails if the token belongs to another device or if this node knows that it was replaced.
    fn verify_own_token(
        &self,
        checks: &CheckPath,
        device: &str,
    ) -> Result<Option<DeviceTokenState>, ServiceError> {
        let DeviceCredential::Token(token) = &self.credential else {
            return Ok(None);
        };
        let was_replaced = || {
            checks
                .revoked_tokens
                .is_revoked(token.tenant, device, token.generation)
        };
        match token.key_id(&checks.keyring, device) {
            Some(key_id) if !was_replaced() => Ok(Some(if key_id == checks.keyring.primary_key_id() {
                DeviceTokenState::Current
            } else {
                DeviceTokenState::UnderOldKey
            })),
            _ => Err(WRONG_TOKEN),
        }
    }
}

/// Returns the same error for unknown, disabled and foreign tenants.
pub(super) fn tenant_access_error() -> ServiceError {
    ServiceError::PermissionDenied("the credential has no access to this tenant".to_owned())
}

/// Answers a check for a credential of `tenant`.
///
/// `claimed` is the tenant named in the request, if any. It is only compared with `tenant` and never decides what the
/// caller may see.
pub(super) fn answer<'a>(
    checks: &CheckPath,
    tenant: &'a PublishedTenant,
    claimed: Option<TenantId>,
    mut check: Check<'a>,
    source: Option<IpAddr>,
) -> Result<CheckAnswer<'a>, ServiceError> {
    if !tenant.tenant.enabled || claimed.is_some_and(|claimed| claimed != tenant.tenant.id) {
        return Err(tenant_access_error());
    }
    check.complete_memberships(&tenant.directory);
    let now = checks.now();
    let stale_for = checks.catalog.stale_for(now);
    let check_context = CheckContext {
        now,
        offers_enabled: tenant.tenant.offers_enabled,
        stale: stale_for.is_some(),
    };
    let app = tenant.app(check.package_name);
    let offers = app.map_or_else(Vec::new, |app| decide(app, &check, &check_context));
    let unknown_app = app.is_none().then_some(UnknownApp {
        tenant: tenant.tenant.id,
        package_name: check.package_name,
    });
    checks
        .device_records
        .record(tenant.tenant.id, app, &check, now, source);
    checks.counts.answered(&offers, app.is_some());
    let after_s = if offers.is_empty() {
        checks.intervals.without_offer_s
    } else {
        checks.intervals.after_offer_s
    };
    Ok(CheckAnswer {
        offers,
        unknown_app,
        next_check_after_s: spread(after_s, check.device_id, now),
        revision: &tenant.revision_text,
        stale_for,
        pushes_waiting: None,
        token_renewal_due: false,
    })
}

/// Spreads an interval by ±10 %, so that devices that started together do not check at the same time.
///
/// A device gets the same spread within an hour.
fn spread(seconds: u32, device_id: &str, now: DateTime<Utc>) -> u32 {
    let hour = u64::try_from(now.timestamp() / 3_600).unwrap_or_default();
    let fraction = xxh3_64_with_seed(device_id.as_bytes(), hour) & u64::from(u16::MAX);
    let range = u64::from(seconds) / 5;
    let spread = u64::from(seconds) - u64::from(seconds) / 10 + range * fraction / u64::from(u16::MAX);
    u32::try_from(spread).unwrap_or(seconds).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_spread_by_a_tenth_and_steady_within_an_hour() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let spreads: Vec<_> = (0..1_000)
            .map(|n| spread(3_600, &format!("device-{n}"), now))
            .collect();
        assert!(spreads.iter().all(|seconds| (3_240..=3_960).contains(seconds)));
        let (low, high) = (spreads.iter().min().unwrap(), spreads.iter().max().unwrap());
        assert!(*low < 3_300 && *high > 3_900, "{low} {high}");
        assert_eq!(
            spread(3_600, "a", now),
            spread(3_600, "a", now + TimeDelta::minutes(20))
        );
        assert_eq!(spread(1, "a", now), 1);
    }
}
