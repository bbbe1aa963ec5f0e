//! The states of devices that were noted last: a table of fixed size that is read and written without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// States that share a cache line.
const WAYS: usize = 8;
/// States for each epoch: so few other devices are forgotten with one.
const STATES_PER_EPOCH: usize = 4;

/// What was noted last of each device and app, as far as it fits. A full bucket forgets one of its states, whose
/// device is then noted once more than needed; a change is never missed for want of room.
pub(super) struct SeenStates {
    buckets: Box<[Bucket]>,
    /// By the hash of the device: a number that is part of its states. Another number forgets them.
    epochs: Box<[AtomicU32]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; WAYS]);

/// Hashes of a device with an app, and of the state that they are in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprint {
    pub(super) subject: u64,
    pub(super) state: u64,
}

pub(super) enum Look<'a> {
    /// The state is the one that was kept last.
    Unchanged,
    Changed(Place<'a>),
}

/// Where a state is to be kept.
pub(super) struct Place<'a> {
    slot: &'a AtomicU64,
    entry: u64,
}

impl SeenStates {
    /// Room for this many states, rounded up to a power of two.
    pub(super) fn new(states: usize) -> Self {
        let buckets = states.div_ceil(WAYS).next_power_of_two();
        Self {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            epochs: std::iter::repeat_with(AtomicU32::default)
                .take((buckets * WAYS).div_ceil(STATES_PER_EPOCH).next_power_of_two())
                .collect(),
        }
    }

    /// Part of the states of a device from now on, until it is forgotten.
    pub(super) fn epoch(&self, device: u64) -> u32 {
        self.epoch_of(device).load(Ordering::Relaxed)
    }

    /// Forgets the states of a device, whatever apps they are of, and those of a few others.
    pub(super) fn forget(&self, device: u64) {
        self.epoch_of(device).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn forget_all(&self) {
        for epoch in &self.epochs {
            epoch.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn epoch_of(&self, device: u64) -> &AtomicU32 {
        let index = usize::try_from(device & (self.epochs.len() as u64 - 1)).unwrap_or(0);
        &self.epochs[index]
    }

    pub(super) fn look(&self, fingerprint: Fingerprint) -> Look<'_> {
        let entry = fingerprint.entry();
        let Bucket(slots) = &self.buckets[fingerprint.bucket(self.buckets.len())];
        let mut place = &slots[fingerprint.way()];
        for slot in slots {
            let kept = slot.load(Ordering::Relaxed);
            if kept == entry {
                return Look::Unchanged;
            }
            if subject_of(kept) == subject_of(entry) {
                place = slot;
                break;
            }
            if kept == 0 {
                place = slot;
                break;
            }
        }
        Look::Changed(Place { slot: place, entry })
    }
}

impl Place<'_> {
    pub(super) fn keep(self) {
        self.slot.store(self.entry, Ordering::Relaxed);
    }
}

/// Sixteen bits of the subject above 48 of the state. Two subjects of one bucket that are alike in the sixteen take
/// each other's place; two states that are alike in the 48 are taken for one until the next day.
impl Fingerprint {
    /// Never 0, which is an empty slot.
    fn entry(self) -> u64 {
        (self.subject & !(u64::MAX >> 16) | self.state >> 16).max(1)
    }

    /// `buckets` is a power of two.
    fn bucket(self, buckets: usize) -> usize {
        usize::try_from(self.subject & (buckets as u64 - 1)).unwrap_or(0)
    }

    /// The state to forget when none is free: always the same for a subject, so that it has one place only.
    fn way(self) -> usize {
        usize::from((self.subject >> 45 & 0b111) as u8)
    }
}

fn subject_of(entry: u64) -> u64 {
    entry >> 48
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(subject: u64, state: u64) -> Fingerprint {
        Fingerprint {
            subject: subject << 48,
            state: state << 16,
        }
    }

    fn note(states: &SeenStates, fingerprint: Fingerprint) -> bool {
        match states.look(fingerprint) {
            Look::Unchanged => false,
            Look::Changed(place) => {
                place.keep();
                true
            }
        }
    }

    #[test]
    fn a_state_is_new_once_and_again_when_it_comes_back() {
        let states = SeenStates::new(8);
        assert!(note(&states, fingerprint(1, 1)));
        assert!(!note(&states, fingerprint(1, 1)));
        assert!(note(&states, fingerprint(1, 2)));
        assert!(note(&states, fingerprint(1, 1)));
    }

    #[test]
    fn a_state_that_was_not_kept_is_new_again() {
        let states = SeenStates::new(8);
        assert!(matches!(states.look(fingerprint(1, 1)), Look::Changed(_)));
        assert!(matches!(states.look(fingerprint(1, 1)), Look::Changed(_)));
    }

    #[test]
    fn a_bucket_remembers_eight_and_forgets_one_for_the_ninth() {
        let states = SeenStates::new(8);
        let remembered = |count: u64| {
            let unchanged = |subject: &u64| matches!(states.look(fingerprint(*subject, 1)), Look::Unchanged);
            (1..=count).filter(unchanged).count()
        };
        for subject in 1..=8 {
            assert!(note(&states, fingerprint(subject, 1)));
        }
        assert_eq!(remembered(8), 8);
        assert!(note(&states, fingerprint(9, 1)));
        assert_eq!(remembered(9), 8);
        assert!(!note(&states, fingerprint(9, 1)));
    }

    #[test]
    fn a_forgotten_device_has_another_epoch() {
        let states = SeenStates::new(64);
        let before = [states.epoch(1), states.epoch(2)];
        states.forget(1);
        assert_ne!(states.epoch(1), before[0]);
        assert_eq!(states.epoch(2), before[1]);
        states.forget_all();
        assert_ne!(states.epoch(2), before[1]);
    }

    #[test]
    fn hashes_of_zero_are_a_state_too() {
        let states = SeenStates::new(1);
        assert!(note(&states, fingerprint(0, 0)));
        assert!(!note(&states, fingerprint(0, 0)));
    }
}
