//! Limits on attempts to enrol. Kept by each node for itself.

use std::net::IpAddr;
use std::time::Duration;

use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;
use crate::services::ServiceError;
use crate::services::login_attempts::network_of;
use crate::services::rate_limit::{RateLimit, retry_after_s};

/// Codes that may be tried for one device from one network in five minutes. Not by device alone: whoever has the
/// device key could otherwise keep a device out.
const CODES: u32 = 10;
const CODES_PERIOD: Duration = Duration::from_mins(5);
/// At most so often a refused attempt on one device from one network is audited: who repeats it must not fill the
/// audit.
const AUDIT_EVERY: Duration = Duration::from_hours(1);
/// The same from everywhere, in an hour. More than one, or a stranger's attempt would hide the next one's.
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

    /// Counts a code that is tried; the error says how long to wait.
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

    /// Whether an attempt that was refused is to be audited.
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
