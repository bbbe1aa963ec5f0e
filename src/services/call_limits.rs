//! Rate limit on gateway calls, by key, device and network. Each node counts separately; disabled by default.

use std::net::IpAddr;
use std::time::Duration;

use super::network::network_of;
use super::rate_limit::{RateLimit, retry_after_s};

/// Table size for a fleet: four times the usual 65,536 keys.
const ROOM: usize = 4;

pub struct CallLimits {
    /// `None` = no limit.
    limit: Option<RateLimit>,
}

impl CallLimits {
    /// Allows `calls_per_minute` calls per key, device and network; 0 = no limit.
    pub fn new(calls_per_minute: u32) -> Self {
        let limit =
            || RateLimit::in_period("gateway", calls_per_minute, Duration::from_mins(1)).with_room(ROOM);
        Self {
            limit: (calls_per_minute > 0).then(limit),
        }
    }

    /// Counts a call with a valid signature. The error is the wait in seconds.
    ///
    /// The network is part of the limit because every copy of an app contains its key. An extracted key must not use up
    /// the calls of another device.
    pub fn count(&self, app_key: &str, device_id: &str, source: Option<IpAddr>) -> Result<(), u64> {
        let Some(limit) = &self.limit else {
            return Ok(());
        };
        let key = (app_key, device_id, source.map(network_of));
        limit.count(key).map_err(retry_after_s)
    }
}
