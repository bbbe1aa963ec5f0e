//! The open pushes of all devices, over all nodes, in memory. Checks read them without a lock; only the follower writes
//! them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::device_of;
use crate::catalog::ids::TenantId;
use crate::live::{BorrowedDeviceKey, DeviceKey};
use crate::storage::push_targets::OpenTarget;

/// Open pushes by device. Devices without open pushes are absent.
#[derive(Default)]
pub(super) struct Waiting {
    devices: papaya::HashMap<DeviceKey, Arc<[Open]>>,
}

/// An open push of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) sequence: i64,
    /// Expiry, in microseconds since 1970.
    pub(super) until_us: i64,
}

impl Waiting {
    /// Returns the number of open pushes of a device.
    pub(super) fn count(&self, tenant: TenantId, device: &str, now: DateTime<Utc>) -> usize {
        let now_us = now.timestamp_micros();
        self.devices
            .pin()
            .get(&BorrowedDeviceKey { tenant, device })
            .map_or(0, |open| {
                open.iter().filter(|open| open.until_us > now_us).count()
            })
    }

    /// Stores the current state of a target. Returns `true` if it is open and was not stored as open before.
    pub(super) fn note(&self, target: &OpenTarget) -> bool {
        let key = device_of(&target.key);
        let devices = self.devices.pin();
        let before: &[Open] = devices.get(&key).map_or(&[], |open| open);
        let was_open = before.iter().any(|open| open.sequence == target.key.sequence);
        if !was_open && target.open_until.is_none() {
            return false;
        }
        let others = before
            .iter()
            .copied()
            .filter(|open| open.sequence != target.key.sequence);
        let now: Arc<[Open]> = others.chain(open_of(target)).collect();
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
        found: HashMap<DeviceKey, Vec<Open>>,
        changed_since: &HashSet<DeviceKey>,
    ) -> Vec<DeviceKey> {
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
            let before: &[Open] = devices.get(&key).map_or(&[], |open| open);
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

    /// Returns the number of devices with open pushes.
    pub(super) fn device_count(&self) -> usize {
        self.devices.len()
    }
}

/// Converts a target, if it is open.
pub(super) fn open_of(target: &OpenTarget) -> Option<Open> {
    Some(Open {
        sequence: target.key.sequence,
        until_us: target.open_until?.timestamp_micros(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::catalog::ids::PushId;
    use crate::catalog::text::DeviceId;
    use crate::storage::push_targets::TargetKey;

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
            push: PushId::generate(),
            open_until: open_until.map(at),
        }
    }

    #[test]
    fn what_has_run_out_waits_no_more() {
        let waiting = Waiting::default();
        assert!(waiting.note(&target("A", 1, Some(10))));
        assert!(waiting.note(&target("A", 2, Some(20))));
        assert!(!waiting.note(&target("A", 2, Some(20))));
        assert_eq!(waiting.count(tenant(), "A", at(9)), 2);
        assert_eq!(waiting.count(tenant(), "A", at(10)), 1);
        assert_eq!(waiting.count(tenant(), "B", at(9)), 0);
    }

    #[test]
    fn a_comparison_leaves_alone_what_changed_meanwhile() {
        let waiting = Waiting::default();
        for device in ["gone", "acknowledged", "same"] {
            waiting.note(&target(device, 1, Some(10)));
        }
        let found = ["acknowledged", "same", "new"].map(|device| {
            let target = target(device, 1, Some(10));
            (device_of(&target.key), vec![open_of(&target).unwrap()])
        });
        waiting.note(&target("acknowledged", 1, None));
        waiting.note(&target("pushed", 1, Some(10)));
        let changed = ["acknowledged", "pushed"].map(|device| device_of(&target(device, 1, None).key));
        let new = waiting.replace_all(found.into(), &changed.into());
        assert_eq!(new, [device_of(&target("new", 1, None).key)]);
        let count = |device| waiting.count(tenant(), device, at(0));
        assert_eq!(
            ["gone", "acknowledged", "pushed", "same", "new"].map(count),
            [0, 0, 1, 1, 1]
        );
        assert_eq!(waiting.device_count(), 3);
    }

    proptest! {
        #[test]
        fn it_holds_what_is_open(changes in prop::collection::vec((1_i64..5, any::<bool>()), 0..40)) {
            let waiting = Waiting::default();
            let mut expected = BTreeSet::new();
            for (sequence, is_open) in changes {
                let is_new = if is_open { expected.insert(sequence) } else { expected.remove(&sequence); false };
                prop_assert_eq!(waiting.note(&target("A", sequence, is_open.then_some(10))), is_new);
                prop_assert_eq!(waiting.count(tenant(), "A", at(0)), expected.len());
            }
        }
    }
}
