//! Rate limits on enrolment attempts. Each node counts separately.

use std::net::IpAddr;
use std::time::Duration;

use super::ServiceError;
use super::network::network_of;
use super::rate_limit::{RateLimit, retry_after_s};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

/// Enrolment codes that may be tried for one device from one network in five minutes.
///
/// The network is part of the limit: otherwise any holder of the device key could lock a device out.
const CODES: u32 = 10;
const CODES_PERIOD: Duration = Duration::from_mins(5);
/// Minimum interval between audited refusals for one device and network, so that repeated attempts do not fill the
/// audit.
const AUDIT_EVERY: Duration = Duration::from_hours(1);
/// Audited refusals for one device from all networks in an hour. More than one, so that an attacker's attempt does not
/// hide another.
const AUDITS: u32 = 5;

pub struct EnrolmentLimits {
    codes: RateLimit,
    audits: RateLimit,
    audits_anywhere: RateLimit,
}

impl EnrolmentLimits {
    pub fn new() -> Self {
        Self {
            codes: RateLimit::in_period("enrolment_code", CODES, CODES_PERIOD),
            audits: RateLimit::in_period("enrolment_audit", 1, AUDIT_EVERY),
            audits_anywhere: RateLimit::in_period("enrolment_audit", AUDITS, AUDIT_EVERY),
        }
    }

    /// Counts an attempt with a code. The error contains the wait.
    pub(super) fn count_code(
        &self,
        tenant: TenantId,
        device: &DeviceId,
        source: Option<IpAddr>,
    ) -> Result<(), ServiceError> {
        let counted = self.codes.count((tenant, device, source.map(network_of)));
        counted.map_err(|wait| ServiceError::RateLimited {
            what: "too many enrolment codes were tried for this device",
            retry_after_s: retry_after_s(wait),
        })
    }

    /// Returns `true` if a refused attempt is audited.
    pub(super) fn audits(&self, tenant: TenantId, device: &DeviceId, source: Option<IpAddr>) -> bool {
        self.audits
            .count((tenant, device, source.map(network_of)))
            .is_ok()
            && self.audits_anywhere.count((tenant, device)).is_ok()
    }
}

impl Default for EnrolmentLimits {
    fn default() -> Self {
        Self::new()
    }
}
