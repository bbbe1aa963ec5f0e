//! Which tokens of devices were replaced or revoked, in memory: a token proves by itself for which device it was
//! made, but not that it is still the newest.
//!
//! Only devices are kept that had more than one token or lost theirs. What this node does is noted at once; what other
//! nodes do is looked for each second.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
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
    lockouts: Lockouts,
}

impl NewestTokens {
    fn new(lockouts: Lockouts) -> Self {
        let generations = papaya::HashMap::new();
        Self {
            generations,
            lockouts,
        }
    }

    /// Whether a later token took the place of this one, or it was revoked.
    pub fn have_replaced(&self, tenant: TenantId, device: &str, generation: i64) -> bool {
        let asked = BorrowedDeviceKey { tenant, device };
        let newest = self.generations.pin().get(&asked).copied();
        newest.is_some_and(|newest| generation < newest)
    }

    /// Notes what was committed.
    pub fn note(&self, device: DeviceKey, generation: i64) {
        if generation > 1 {
            let before = self.generations.pin().insert(device.clone(), generation).copied();
            if before != Some(generation) {
                self.lockouts.tell(LockedOut::Device(device));
            }
        }
    }

    /// Takes what the database has for the whole truth. Meanwhile others may note more, which stays.
    async fn read_all(&self, db: &Db) -> Result<(), StorageError> {
        let before: Vec<DeviceKey> = self.generations.pin().keys().cloned().collect();
        let mut present = HashSet::new();
        for row in device_tokens::list_replaced_anywhere(db, None).await? {
            let device = owner_of(&row);
            self.note(device.clone(), row.generation);
            present.insert(device);
        }
        let newest = self.generations.pin();
        for device in before.iter().filter(|device| !present.contains(*device)) {
            newest.remove(device);
        }
        Ok(())
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
        match self.looked_at {
            Some(before) if self.read_all_at.elapsed() < READ_ALL_EVERY => {
                let since = before.min(now) - OVERLAP;
                for row in device_tokens::list_replaced_anywhere(&self.db, Some(since)).await? {
                    self.newest.note(owner_of(&row), row.generation);
                }
            }
            _ => {
                self.newest.read_all(&self.db).await?;
                self.read_all_at = Instant::now();
            }
        }
        self.looked_at = Some(now);
        Ok(())
    }

    /// Follows until the task is dropped. Until it has read everything, tokens that were replaced are good for checks.
    pub async fn run(mut self) {
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
    DeviceKey {
        tenant: row.tenant,
        device: row.device.clone(),
    }
}
