//! Rate limits on acknowledgements from a device and pushes to a device.
//!
//! They are shared by HTTP, the gateway and MQTT. Each node counts separately.

use std::time::Duration;

use super::ServiceError;
use super::rate_limit::{RateLimit, retry_after_s};
use slipway_domain::access::DeviceScope;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::push::PushTarget;

/// Burst, in seconds of the sustained rate. A device that was offline acknowledges many pushes at once.
const BURST_S: u32 = 15;
/// Table size for a fleet: four times the usual 65,536 keys.
const ROOM: usize = 4;

pub struct DeviceLimits {
    acknowledgements: RateLimit,
    pushes: RateLimit,
}

impl DeviceLimits {
    /// Allows `per_second` acknowledgements and pushes for each device. Each of them costs a transaction.
    pub fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        let limit = |name| RateLimit::new(name, per_second * BURST_S, interval).with_room(ROOM);
        Self {
            acknowledgements: limit("acknowledgements"),
            pushes: limit("pushes"),
        }
    }

    /// Fails if the device has sent too many acknowledgements. Counts nothing.
    pub(super) fn admit_acknowledgement(&self, scope: &DeviceScope) -> Result<(), ServiceError> {
        let device = (scope.tenant().tenant(), scope.device());
        let probed = self.acknowledgements.probe(device);
        probed.map_err(too_many_acknowledgements)
    }

    /// Counts an acknowledgement of a device. The error contains the wait.
    pub(super) fn count_acknowledgement(&self, scope: &DeviceScope) -> Result<(), ServiceError> {
        let device = (scope.tenant().tenant(), scope.device());
        let counted = self.acknowledgements.count(device);
        counted.map_err(too_many_acknowledgements)
    }

    /// Counts a push for all of its devices, or for none if one is over its limit.
    pub(super) fn count_push(&self, tenant: TenantId, targets: &[PushTarget]) -> Result<(), ServiceError> {
        let refused = |wait| refusal("too many pushes were sent to one of these devices", wait);
        for target in targets {
            self.pushes.probe((tenant, &target.device)).map_err(refused)?;
        }
        for target in targets {
            // A concurrent push may have used up the limit since the probe; this push stays admitted.
            let _ = self.pushes.count((tenant, &target.device));
        }
        Ok(())
    }
}

fn too_many_acknowledgements(wait: Duration) -> ServiceError {
    refusal("this device sends too many acknowledgements", wait)
}

fn refusal(what: &'static str, wait: Duration) -> ServiceError {
    ServiceError::RateLimited {
        what,
        retry_after_s: retry_after_s(wait),
    }
}
