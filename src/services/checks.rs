//! The check: computes the offers for an authenticated device or gateway key, from memory alone.

use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ServiceError;
use super::authentication::{DeviceCaller, GatewayKey, TokenSigningKey};
use super::check_path::CheckPath;
use crate::live::PublishedTenant;
use slipway_domain::catalog::field::excerpt;
use slipway_domain::catalog::ids::TenantId;
use slipway_resolver::{Check, CheckContext, Offer, decide};

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

impl DeviceCaller {
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
        let now = checks.now();
        let answer = answer(checks, self.published_tenant(), claimed, check, source, now)?;
        let waiting = || checks.pending_pushes.count(tenant, device, now);
        Ok(CheckAnswer {
            pushes_waiting: token_state.map(|_| waiting()),
            token_renewal_due: token_state == Some(TokenSigningKey::Retired),
            ..answer
        })
    }
}

impl GatewayKey {
    /// Answers a check. `claimed` is the tenant named in the request.
    pub fn check<'a>(
        &'a self,
        checks: &CheckPath,
        claimed: TenantId,
        check: Check<'a>,
        source: Option<IpAddr>,
    ) -> Result<CheckAnswer<'a>, ServiceError> {
        let tenant = self.published_tenant();
        answer(checks, tenant, Some(claimed), check, source, self.called_at())
    }
}

/// Answers a check for a credential of `tenant`.
///
/// `claimed` is the tenant named in the request, if any. It is only compared with `tenant` and never decides what the
/// caller may see.
fn answer<'a>(
    checks: &CheckPath,
    tenant: &'a PublishedTenant,
    claimed: Option<TenantId>,
    mut check: Check<'a>,
    source: Option<IpAddr>,
    now: DateTime<Utc>,
) -> Result<CheckAnswer<'a>, ServiceError> {
    if !tenant.tenant.enabled || claimed.is_some_and(|claimed| claimed != tenant.tenant.id) {
        return Err(ServiceError::no_tenant_access());
    }
    check.complete_memberships(&tenant.directory);
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
        revision: tenant.revision_text.as_str(),
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
