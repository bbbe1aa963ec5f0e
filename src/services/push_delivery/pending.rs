//! The pending pushes of all devices, over all nodes, in memory. Checks read them without a lock; only
//! [`super::sync`] writes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::device_of;
use crate::live::{BorrowedDeviceRef, DeviceRef};
use crate::storage::push_targets::OpenTarget;
use slipway_domain::catalog::ids::TenantId;

/// Pending pushes by device. Devices without pending pushes are absent.
#[derive(Default)]
pub struct PendingPushes {
    devices: papaya::HashMap<DeviceRef, Arc<[PendingPush]>>,
}

/// A pending push of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PendingPush {
    pub(super) sequence: i64,
    /// Expiry, in microseconds since 1970.
    pub(super) until_us: i64,
}

impl PendingPushes {
    /// Returns the number of pending pushes of a device, without a lock.
    pub(in crate::services) fn count(&self, tenant: TenantId, device: &str, now: DateTime<Utc>) -> usize {
        let now_us = now.timestamp_micros();
        self.devices
            .pin()
            .get(&BorrowedDeviceRef { tenant, device })
            .map_or(0, |open| {
                open.iter().filter(|open| open.until_us > now_us).count()
            })
    }

    /// Stores the current state of a target. Returns `true` if it is open and was not stored as open before.
    pub(super) fn record(&self, target: &OpenTarget) -> bool {
        let key = device_of(&target.key);
        let devices = self.devices.pin();
        let before: &[PendingPush] = devices.get(&key).map_or(&[], |open| open);
        let was_open = before.iter().any(|open| open.sequence == target.key.sequence);
        if !was_open && target.open_until.is_none() {
            return false;
        }
        let others = before
            .iter()
            .copied()
            .filter(|open| open.sequence != target.key.sequence);
        let now: Arc<[PendingPush]> = others.chain(pending_push(target)).collect();
        if now.is_empty() {
            devices.remove(&key);
        } else {
            devices.insert(key, now);
        }
        !was_open
    }

    /// Replaces all targets except those of devices in `changed_since`, which changed after `found` was read. Returns
    /// the devices with newly open targets.
    pub(super) fn replace_all(
        &self,
        found: HashMap<DeviceRef, Vec<PendingPush>>,
        changed_since: &HashSet<DeviceRef>,
    ) -> Vec<DeviceRef> {
        let devices = self.devices.pin();
        let gone: Vec<_> = devices
            .keys()
            .filter(|key| !found.contains_key(*key) && !changed_since.contains(*key))
            .cloned()
            .collect();
        for key in &gone {
            devices.remove(key);
        }
        let mut have_something_new = Vec::new();
        for (key, open) in found {
            if changed_since.contains(&key) {
                continue;
            }
            let before: &[PendingPush] = devices.get(&key).map_or(&[], |open| open);
            if before == open {
                continue;
            }
            let known: HashSet<_> = before.iter().map(|open| open.sequence).collect();
            if open.iter().any(|open| !known.contains(&open.sequence)) {
                have_something_new.push(key.clone());
            }
            devices.insert(key, open.into());
        }
        have_something_new
    }

    /// Returns the number of devices with pending pushes.
    pub(super) fn device_count(&self) -> usize {
        self.devices.len()
    }
}

/// Converts a target, if it is open.
pub(super) fn pending_push(target: &OpenTarget) -> Option<PendingPush> {
    Some(PendingPush {
        sequence: target.key.sequence,
        until_us: target.open_until?.timestamp_micros(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::random;
    use slipway_domain::catalog::ids::PushId;
    use slipway_domain::catalog::push::TargetKey;
    use slipway_domain::catalog::text::DeviceId;

    fn tenant() -> TenantId {
        TenantId::parse(1).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn target(device: &str, sequence: i64, open_until: Option<i64>) -> OpenTarget {
        OpenTarget {
            key: TargetKey {
                tenant: tenant(),
                device: DeviceId::parse(device).unwrap(),
                sequence,
            },
            push: random::id::<PushId>(),
            open_until: open_until.map(at),
        }
    }

    #[test]
    fn what_has_run_out_waits_no_more() {
        let pending = PendingPushes::default();
        assert!(pending.record(&target("A", 1, Some(10))));
        assert!(pending.record(&target("A", 2, Some(20))));
        assert!(!pending.record(&target("A", 2, Some(20))));
        assert_eq!(pending.count(tenant(), "A", at(9)), 2);
        assert_eq!(pending.count(tenant(), "A", at(10)), 1);
        assert_eq!(pending.count(tenant(), "B", at(9)), 0);
    }

    #[test]
    fn a_comparison_leaves_alone_what_changed_meanwhile() {
        let pending = PendingPushes::default();
        for device in ["gone", "acknowledged", "same"] {
            pending.record(&target(device, 1, Some(10)));
        }
        let found = ["acknowledged", "same", "new"].map(|device| {
            let target = target(device, 1, Some(10));
            (device_of(&target.key), vec![pending_push(&target).unwrap()])
        });
        pending.record(&target("acknowledged", 1, None));
        pending.record(&target("pushed", 1, Some(10)));
        let changed = ["acknowledged", "pushed"].map(|device| device_of(&target(device, 1, None).key));
        let new = pending.replace_all(found.into(), &changed.into());
        assert_eq!(new, [device_of(&target("new", 1, None).key)]);
        let count = |device| pending.count(tenant(), device, at(0));
        assert_eq!(
            ["gone", "acknowledged", "pushed", "same", "new"].map(count),
            [0, 0, 1, 1, 1]
        );
        assert_eq!(pending.device_count(), 3);
    }

    proptest! {
        #[test]
        fn it_holds_what_is_open(changes in prop::collection::vec((1_i64..5, any::<bool>()), 0..40)) {
            let pending = PendingPushes::default();
            let mut expected = BTreeSet::new();
            for (sequence, is_open) in changes {
                let is_new = if is_open { expected.insert(sequence) } else { expected.remove(&sequence); false };
                prop_assert_eq!(pending.record(&target("A", sequence, is_open.then_some(10))), is_new);
                prop_assert_eq!(pending.count(tenant(), "A", at(0)), expected.len());
            }
        }
    }
}
