//! A limit on calls of the gateway, by key, device and network. Kept by each node for itself; off unless configured.

use std::net::IpAddr;
use std::time::Duration;

use super::login_attempts::network_of;
use super::rate_limit::{RateLimit, retry_after_s};

/// Room for a fleet: four times this table's 65,536 keys.
const ROOM: usize = 4;

pub struct CallLimits {
    /// `None`: no limit.
    limit: Option<RateLimit>,
}

impl CallLimits {
    /// Allows so many calls a minute; 0 is no limit.
    pub fn new(calls_per_minute: u32) -> Self {
        let limit =
            || RateLimit::in_period("gateway", calls_per_minute, Duration::from_mins(1)).with_room(ROOM);
        Self {
            limit: (calls_per_minute > 0).then(limit),
        }
    }

    /// Counts a call whose signature is valid; the error is how many seconds to wait. By network too: a key is in
    /// every copy of an app, and whoever took it out must not use up what another's device may call.
    pub fn count(&self, app_key: &str, device_id: &str, source: Option<IpAddr>) -> Result<(), u64> {
        let Some(limit) = &self.limit else {
            return Ok(());
        };
        let key = (app_key, device_id, source.map(network_of));
        limit.count(key).map_err(retry_after_s)
    }
}
