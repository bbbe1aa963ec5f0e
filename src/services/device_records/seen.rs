//! Cache of the last recorded device states: a table of fixed size with lock-free reads and writes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// States in one cache line.
const WAYS: usize = 8;
/// States per epoch. Invalidating one device therefore invalidates only a few others.
const STATES_PER_EPOCH: usize = 4;

/// Last recorded state of each device and app, limited by the table size.
///
/// A full bucket evicts one state, so that its device is recorded once more than necessary. An eviction never hides a
/// change.
pub(super) struct StateCache {
    buckets: Box<[Bucket]>,
    /// Epochs, indexed by device hash. The epoch is part of each state, so that a new epoch invalidates the states.
    epochs: Box<[AtomicU32]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; WAYS]);

/// Hashes of a device with an app, and of their state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprint {
    pub(super) subject: u64,
    pub(super) state: u64,
}

pub(super) enum CacheLookup<'a> {
    /// The state equals the stored one.
    Unchanged,
    Changed(CacheSlot<'a>),
}

/// Slot for a new state.
pub(super) struct CacheSlot<'a> {
    slot: &'a AtomicU64,
    entry: u64,
}

impl StateCache {
    /// Creates a table for this many states, rounded up to a power of two.
    pub(super) fn new(states: usize) -> Self {
        let buckets = states.div_ceil(WAYS).next_power_of_two();
        Self {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            epochs: std::iter::repeat_with(AtomicU32::default)
                .take((buckets * WAYS).div_ceil(STATES_PER_EPOCH).next_power_of_two())
                .collect(),
        }
    }

    /// Returns the current epoch of a device. It changes when the device is invalidated.
    pub(super) fn epoch(&self, device: u64) -> u32 {
        self.epoch_of(device).load(Ordering::Relaxed)
    }

    /// Invalidates the states of a device for all apps, and the states of a few other devices.
    pub(super) fn invalidate(&self, device: u64) {
        self.epoch_of(device).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn invalidate_all(&self) {
        for epoch in &self.epochs {
            epoch.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn epoch_of(&self, device: u64) -> &AtomicU32 {
        let index = usize::try_from(device & (self.epochs.len() as u64 - 1)).unwrap_or(0);
        &self.epochs[index]
    }

    pub(super) fn lookup(&self, fingerprint: Fingerprint) -> CacheLookup<'_> {
        let entry = fingerprint.entry();
        let Bucket(slots) = &self.buckets[fingerprint.bucket(self.buckets.len())];
        let mut place = &slots[fingerprint.way()];
        for slot in slots {
            let kept = slot.load(Ordering::Relaxed);
            if kept == entry {
                return CacheLookup::Unchanged;
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
        CacheLookup::Changed(CacheSlot { slot: place, entry })
    }
}

impl CacheSlot<'_> {
    pub(super) fn store(self) {
        self.slot.store(self.entry, Ordering::Relaxed);
    }
}

/// Table entry: the upper 16 bits of the subject, followed by the upper 48 bits of the state.
///
/// Two subjects in a bucket with the same 16 bits evict each other. Two states with the same 48 bits are treated as
/// equal until the next day.
impl Fingerprint {
    /// Returns the table entry, never 0: an empty slot is 0.
    fn entry(self) -> u64 {
        (self.subject & !(u64::MAX >> 16) | self.state >> 16).max(1)
    }

    /// Returns the bucket index. `buckets` must be a power of two.
    fn bucket(self, buckets: usize) -> usize {
        usize::try_from(self.subject & (buckets as u64 - 1)).unwrap_or(0)
    }

    /// Returns the slot to evict from a full bucket. It is constant per subject, so that a subject occupies one slot
    /// only.
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

    fn record(states: &StateCache, fingerprint: Fingerprint) -> bool {
        match states.lookup(fingerprint) {
            CacheLookup::Unchanged => false,
            CacheLookup::Changed(slot) => {
                slot.store();
                true
            }
        }
    }

    #[test]
    fn a_state_is_new_once_and_again_when_it_comes_back() {
        let states = StateCache::new(8);
        assert!(record(&states, fingerprint(1, 1)));
        assert!(!record(&states, fingerprint(1, 1)));
        assert!(record(&states, fingerprint(1, 2)));
        assert!(record(&states, fingerprint(1, 1)));
    }

    #[test]
    fn a_state_that_was_not_kept_is_new_again() {
        let states = StateCache::new(8);
        assert!(matches!(
            states.lookup(fingerprint(1, 1)),
            CacheLookup::Changed(_)
        ));
        assert!(matches!(
            states.lookup(fingerprint(1, 1)),
            CacheLookup::Changed(_)
        ));
    }

    #[test]
    fn a_bucket_remembers_eight_and_forgets_one_for_the_ninth() {
        let states = StateCache::new(8);
        let remembered = |count: u64| {
            let unchanged =
                |subject: &u64| matches!(states.lookup(fingerprint(*subject, 1)), CacheLookup::Unchanged);
            (1..=count).filter(unchanged).count()
        };
        for subject in 1..=8 {
            assert!(record(&states, fingerprint(subject, 1)));
        }
        assert_eq!(remembered(8), 8);
        assert!(record(&states, fingerprint(9, 1)));
        assert_eq!(remembered(9), 8);
        assert!(!record(&states, fingerprint(9, 1)));
    }

    #[test]
    fn a_forgotten_device_has_another_epoch() {
        let states = StateCache::new(64);
        let before = [states.epoch(1), states.epoch(2)];
        states.invalidate(1);
        assert_ne!(states.epoch(1), before[0]);
        assert_eq!(states.epoch(2), before[1]);
        states.invalidate_all();
        assert_ne!(states.epoch(2), before[1]);
    }

    #[test]
    fn hashes_of_zero_are_a_state_too() {
        let states = StateCache::new(1);
        assert!(record(&states, fingerprint(0, 0)));
        assert!(!record(&states, fingerprint(0, 0)));
    }
}
