//! Limits on what comes from one device, and on what is sent to one, the same over HTTP, the gateway and MQTT. Kept by
//! each node for itself.

use std::time::Duration;

use super::ServiceError;
use super::rate_limit::{RateLimit, retry_after_s};
use crate::access::DeviceScope;
use crate::catalog::ids::TenantId;
use crate::catalog::push::PushTarget;

/// What may come at once, in seconds of what may come all the time: a device that was away has much to say.
const BURST_S: u32 = 15;
/// Room for a fleet: four times a table's 65,536 keys.
const ROOM: usize = 4;

pub struct DeviceLimits {
    acknowledgements: RateLimit,
    pushes: RateLimit,
}

impl DeviceLimits {
    /// Allows so many of each in a second. Each costs a transaction.
    pub fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        let limit = |name| RateLimit::new(name, per_second * BURST_S, interval).with_room(ROOM);
        Self {
            acknowledgements: limit("acknowledgements"),
            pushes: limit("pushes"),
        }
    }

    /// Refuses a device that has sent too many acknowledgements; nothing is counted.
    pub(super) fn admit_acknowledgement(&self, scope: &DeviceScope) -> Result<(), ServiceError> {
        let device = (scope.tenant().tenant(), scope.device());
        let probed = self.acknowledgements.probe(device);
        probed.map_err(too_many_acknowledgements)
    }

    /// Counts an acknowledgement of a device; the error says how long to wait.
    pub(super) fn count_acknowledgement(&self, scope: &DeviceScope) -> Result<(), ServiceError> {
        let device = (scope.tenant().tenant(), scope.device());
        let counted = self.acknowledgements.count(device);
        counted.map_err(too_many_acknowledgements)
    }

    /// Counts a push for each of its devices, or for none of them.
    pub(super) fn count_push(&self, tenant: TenantId, targets: &[PushTarget]) -> Result<(), ServiceError> {
        let refused = |wait| refusal("too many pushes were sent to one of these devices", wait);
        for target in targets {
            self.pushes.probe((tenant, &target.device)).map_err(refused)?;
        }
        for target in targets {
            // Another push may have been counted meanwhile; this one was admitted.
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
