//! Which tokens of devices were replaced or revoked, in memory: a token proves by itself for which device it was
//! made, but not that it is still the newest.
//!
//! Only devices are kept that had more than one token or lost theirs. What this node does is noted at once; what other
//! nodes do is looked for each second.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use papaya::{Compute, Operation};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::device_key::{BorrowedDeviceKey, DeviceKey};
use super::lockouts::{LockedOut, Lockouts};
use crate::backoff::Backoff;
use crate::catalog::ids::TenantId;
use crate::clock::Clock;
use crate::storage::device_tokens::{self, TokenGeneration};
use crate::storage::{Db, StorageError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far a look reaches back before the one before it: above what the nodes' clocks differ by and what a
/// transaction takes.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// How often everything is read, whatever the looks saw.
const READ_ALL_EVERY: Duration = Duration::from_mins(10);

/// The newest generation of the tokens of devices whose first one is good no more. Reading takes no lock.
pub struct NewestTokens {
    generations: papaya::HashMap<DeviceKey, i64>,
    /// Every token up to this generation is invalid, since a restore was finished; 0: there was none.
    floor: AtomicI64,
    lockouts: Lockouts,
}

impl NewestTokens {
    fn new(lockouts: Lockouts) -> Self {
        let generations = papaya::HashMap::new();
        Self {
            generations,
            floor: AtomicI64::new(0),
            lockouts,
        }
    }

    /// Whether a later token took the place of this one, or it was revoked.
    pub fn have_replaced(&self, tenant: TenantId, device: &str, generation: i64) -> bool {
        let asked = BorrowedDeviceKey { tenant, device };
        let newest = self.generations.pin().get(&asked).copied();
        generation <= self.floor.load(Ordering::Acquire) || newest.is_some_and(|newest| generation < newest)
    }

    /// Follows the floor of the database, a lower one too: it may be an older state.
    fn set_floor(&self, floor: i64) {
        let before = self.floor.swap(floor, Ordering::AcqRel);
        if before < floor {
            self.lockouts.tell(LockedOut::EveryDevice);
        }
    }

    /// Notes what was committed. Whoever read it earlier may note it later, so only what is newer counts.
    pub fn note(&self, device: DeviceKey, generation: i64) {
        self.replace(device, generation, |known| generation > known.unwrap_or(1));
    }

    /// Takes what the database has for the whole truth, lower generations too: it may be an older state.
    async fn read_all(&self, db: &Db, floor: i64) -> Result<(), StorageError> {
        let before = self.copy();
        let rows = device_tokens::list_replaced_anywhere(db, floor, None).await?;
        self.take_all(before, &rows);
        Ok(())
    }

    fn copy(&self) -> HashMap<DeviceKey, i64> {
        let generations = self.generations.pin();
        generations
            .iter()
            .map(|(device, generation)| (device.clone(), *generation))
            .collect()
    }

    /// `before` is what was known before the rows were read. What was noted since then stays, unless the rows are newer.
    fn take_all(&self, mut before: HashMap<DeviceKey, i64>, rows: &[TokenGeneration]) {
        for row in rows {
            let (device, generation) = (owner_of(row), row.generation);
            let before = before.remove(&device);
            self.replace(device, generation, |known| {
                known == before || generation > known.unwrap_or(1)
            });
        }
        let newest = self.generations.pin();
        for (device, before) in before {
            // The error is that it was noted anew.
            let _ = newest.remove_if(&device, |_, known| *known == before);
        }
    }

    /// Keeps a generation instead of the one that is known, where that is wanted; another one locks the device out.
    fn replace(&self, device: DeviceKey, generation: i64, is_wanted: impl Fn(Option<i64>) -> bool) {
        let generations = self.generations.pin();
        let replaced = generations.compute(device.clone(), |entry| {
            let known = entry.map(|(_, known)| *known);
            if known != Some(generation) && is_wanted(known) {
                Operation::Insert(generation)
            } else {
                Operation::Abort(())
            }
        });
        if !matches!(replaced, Compute::Aborted(())) {
            self.lockouts.tell(LockedOut::Device(device));
        }
    }
}

/// The task that follows what other nodes replace and revoke.
pub struct DeviceTokenFollower {
    db: Db,
    clock: Arc<dyn Clock>,
    newest: Arc<NewestTokens>,
    /// `None` when everything must be read.
    looked_at: Option<DateTime<Utc>>,
    read_all_at: Instant,
}

impl DeviceTokenFollower {
    pub fn new(db: Db, clock: Arc<dyn Clock>, lockouts: Lockouts) -> (Self, Arc<NewestTokens>) {
        let newest = Arc::new(NewestTokens::new(lockouts));
        let follower = Self {
            db,
            clock,
            newest: newest.clone(),
            looked_at: None,
            read_all_at: Instant::now(),
        };
        (follower, newest)
    }

    /// Looks once.
    pub async fn look(&mut self) -> Result<(), StorageError> {
        let now = self.clock.now();
        let floor = device_tokens::look_for_floor(&self.db).await?;
        self.newest.set_floor(floor);
        match self.looked_at {
            Some(before) if self.read_all_at.elapsed() < READ_ALL_EVERY => {
                let since = before.min(now) - OVERLAP;
                for row in device_tokens::list_replaced_anywhere(&self.db, floor, Some(since)).await? {
                    self.newest.note(owner_of(&row), row.generation);
                }
            }
            _ => {
                self.newest.read_all(&self.db, floor).await?;
                self.read_all_at = Instant::now();
            }
        }
        self.looked_at = Some(now);
        Ok(())
    }

    /// Follows until the task is dropped. Until it has read everything, tokens that were replaced are good for checks.
    pub async fn run(&mut self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::warn!(%error, "the tokens of devices could not be compared with the database");
                    // The database may have been replaced by an older state meanwhile.
                    self.looked_at = None;
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }
}

fn owner_of(row: &TokenGeneration) -> DeviceKey {
    DeviceKey::of(row.tenant, &row.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::text::DeviceId;

    fn row(generation: i64) -> TokenGeneration {
        TokenGeneration {
            tenant: TenantId::parse(1).unwrap(),
            device: DeviceId::parse("PDA001").unwrap(),
            generation,
        }
    }

    fn newest(tokens: &NewestTokens) -> Option<i64> {
        tokens.generations.pin().get(&owner_of(&row(1))).copied()
    }

    #[test]
    fn what_was_read_before_a_revocation_does_not_undo_it() {
        let (lockouts, mut told) = Lockouts::new();
        let tokens = NewestTokens::new(lockouts);
        let device = owner_of(&row(1));
        tokens.note(device.clone(), 1);
        assert_eq!(newest(&tokens), None);
        tokens.note(device.clone(), 3);
        tokens.note(device.clone(), 2);
        assert_eq!(newest(&tokens), Some(3));
        assert!(tokens.have_replaced(device.tenant, "PDA001", 2));
        assert_eq!(told.try_recv().unwrap(), LockedOut::Device(device));
        assert!(told.try_recv().is_err(), "it is locked out once");
    }

    #[test]
    fn a_floor_ends_every_token_up_to_it() {
        let (lockouts, mut told) = Lockouts::new();
        let tokens = NewestTokens::new(lockouts);
        let tenant = TenantId::parse(1).unwrap();
        assert!(!tokens.have_replaced(tenant, "PDA001", 1));
        tokens.set_floor(1_000);
        assert_eq!(told.try_recv().unwrap(), LockedOut::EveryDevice);
        assert!(tokens.have_replaced(tenant, "PDA001", 1) && tokens.have_replaced(tenant, "PDA002", 1_000));
        assert!(!tokens.have_replaced(tenant, "PDA001", 1_001));
        tokens.set_floor(1_000);
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn reading_everything_lowers_what_nobody_has_raised_meanwhile() {
        let tokens = NewestTokens::new(Lockouts::new().0);
        tokens.note(owner_of(&row(1)), 5);
        tokens.take_all(tokens.copy(), &[row(4)]);
        assert_eq!(newest(&tokens), Some(4));

        let before = tokens.copy();
        tokens.note(owner_of(&row(1)), 6);
        tokens.take_all(before.clone(), &[row(4)]);
        assert_eq!(newest(&tokens), Some(6));
        tokens.take_all(before, &[]);
        assert_eq!(newest(&tokens), Some(6));

        tokens.take_all(tokens.copy(), &[]);
        assert_eq!(newest(&tokens), None);
    }
}
