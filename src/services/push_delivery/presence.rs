//! Devices whose connection to this node has changed, for the writer to the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::live::DeviceRef;
use crate::timer;

/// Devices that connected or disconnected since the last write, with the time.
#[derive(Default)]
pub(super) struct Presence {
    changed: Mutex<HashMap<DeviceRef, Instant>>,
}

impl Presence {
    pub(super) fn changed(&self, device: &DeviceRef) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(device.clone(), timer::runtime_now());
    }

    pub(super) fn take(&self) -> HashMap<DeviceRef, Instant> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts devices back for the next write, unless they changed meanwhile.
    pub(super) fn put_back(&self, again: impl IntoIterator<Item = (DeviceRef, Instant)>) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, at) in again {
            changed.entry(device).or_insert(at);
        }
    }
}
