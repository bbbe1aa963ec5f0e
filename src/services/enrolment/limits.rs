//! Limits on attempts to enrol. Kept by each node for itself.

use std::net::IpAddr;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;
use crate::services::ServiceError;
use crate::services::login_attempts::{quota, whole_network};

/// Codes that may be tried for one device from one address in five minutes. Not by device alone: whoever has the
/// device key could otherwise keep a device out.
const CODES: u32 = 10;
/// At most so often a refused attempt on one device is audited: who repeats it must not fill the audit.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

type Subject = (TenantId, DeviceId);

pub struct EnrolmentLimits {
    codes: DefaultKeyedRateLimiter<(Subject, Option<IpAddr>)>,
    audits: DefaultKeyedRateLimiter<Subject>,
    clock: DefaultClock,
}

impl EnrolmentLimits {
    pub fn new() -> Self {
        let audits = Quota::with_period(AUDIT_EVERY).unwrap_or_else(|| quota(1));
        Self {
            codes: RateLimiter::keyed(quota(CODES)),
            audits: RateLimiter::keyed(audits),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a code that is tried; the error says how long to wait.
    pub(super) fn count_code(
        &self,
        tenant: TenantId,
        device: &DeviceId,
        source: Option<IpAddr>,
    ) -> Result<(), ServiceError> {
        let key = ((tenant, device.clone()), source.map(whole_network));
        self.codes.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            ServiceError::RateLimited {
                what: "too many enrolment codes were tried for this device",
                retry_after_s: wait.as_secs() + 1,
            }
        })
    }

    /// Whether an attempt that was refused is to be audited.
    pub(super) fn audits(&self, tenant: TenantId, device: &DeviceId) -> bool {
        self.audits.check_key(&(tenant, device.clone())).is_ok()
    }

    /// Forgets devices that have been quiet, so that the tables stay small.
    pub(in crate::services) fn forget_quiet(&self) {
        self.codes.retain_recent();
        self.audits.retain_recent();
    }
}

impl Default for EnrolmentLimits {
    fn default() -> Self {
        Self::new()
    }
}
