//! The parts of a server that a check needs. None of them can be asked for the database: checks are answered from memory
//! alone.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::check_counts::CheckCounts;
use super::device_records::DeviceRecorder;
use super::key_uses::KeyUses;
use super::push_delivery::PendingPushes;
use crate::clock::Clock;
use crate::live::{CatalogCache, RevokedTokens};
use crate::secrets::Keyring;
use slipway_domain::catalog::instant::in_micros;

/// State that answers checks, and the recorders of checks.
pub struct CheckPath {
    pub clock: Arc<dyn Clock>,
    pub catalog: Arc<CatalogCache>,
    pub revoked_tokens: Arc<RevokedTokens>,
    pub keyring: Arc<Keyring>,
    pub pending_pushes: Arc<PendingPushes>,
    pub device_records: Arc<DeviceRecorder>,
    pub key_uses: Arc<KeyUses>,
    pub counts: CheckCounts,
    pub intervals: CheckIntervals,
}

/// Seconds until the next check of a device.
#[derive(Debug, Clone, Copy)]
pub struct CheckIntervals {
    pub without_offer_s: u32,
    pub after_offer_s: u32,
}

impl CheckPath {
    /// Returns the current time in whole microseconds.
    pub(super) fn now(&self) -> DateTime<Utc> {
        in_micros(self.clock.now())
    }
}
