//! Revoked and replaced device tokens, in memory. A token authenticates its device by itself, but does not show whether
//! it is still the newest.
//!
//! The map holds only devices whose first token was replaced or revoked. Changes made on this node are recorded
//! immediately. Changes made on other nodes are polled every second.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use papaya::{Compute, Operation};
use tokio::time::Instant;

use super::device_ref::{BorrowedDeviceRef, DeviceRef};
use super::revocations::{Revocation, Revocations};
use crate::clock::Clock;
use crate::poller::{Poller, PollingTask};
use crate::storage::device_tokens::{self, TokenGeneration};
use crate::storage::{Db, StorageError};
use crate::timer;
use slipway_domain::catalog::ids::TenantId;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Overlap of a poll with the previous one. Exceeds the clock skew between nodes plus the duration of a transaction.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// Interval between full reads, regardless of what the polls return.
const RELOAD_INTERVAL: Duration = Duration::from_mins(10);

/// Newest token generation of each device whose first token is no longer valid. Reads take no lock.
pub struct RevokedTokens {
    generations: papaya::HashMap<DeviceRef, i64>,
    /// Tokens up to this generation are invalid because a restore was completed; 0 = no restore.
    floor: AtomicI64,
    revocations: Revocations,
}

impl RevokedTokens {
    fn new(revocations: Revocations) -> Self {
        let generations = papaya::HashMap::new();
        Self {
            generations,
            floor: AtomicI64::new(0),
            revocations,
        }
    }

    /// Returns `true` if the token was revoked or replaced by a later one.
    pub fn is_revoked(&self, tenant: TenantId, device: &str, generation: i64) -> bool {
        let asked = BorrowedDeviceRef { tenant, device };
        let newest = self.generations.pin().get(&asked).copied();
        generation <= self.floor.load(Ordering::Acquire) || newest.is_some_and(|newest| generation < newest)
    }

    /// Adopts the floor stored in the database. A lower floor is accepted too, because the database may have been
    /// replaced by an older state.
    fn set_floor(&self, floor: i64) {
        let before = self.floor.swap(floor, Ordering::AcqRel);
        if before < floor {
            self.revocations.send(Revocation::EveryDevice);
        }
    }

    /// Records a committed generation. Readers may record generations out of order, so only a newer one has an effect.
    pub fn record_generation(&self, device: DeviceRef, generation: i64) {
        self.replace(device, generation, |known| generation > known.unwrap_or(1));
    }

    /// Replaces the map with the state in the database. Lower generations are accepted too, because the database may
    /// have been replaced by an older state.
    async fn reload(&self, db: &Db, floor: i64) -> Result<(), StorageError> {
        let before = self.copy();
        let rows = device_tokens::list_replaced_anywhere(db, floor, None).await?;
        self.merge_rows(before, &rows);
        Ok(())
    }

    fn copy(&self) -> HashMap<DeviceRef, i64> {
        let generations = self.generations.pin();
        generations
            .iter()
            .map(|(device, generation)| (device.clone(), *generation))
            .collect()
    }

    /// Merges rows read from the database. `before` is the map as it was before the read. Entries recorded since then
    /// are kept unless the row is newer.
    fn merge_rows(&self, mut before: HashMap<DeviceRef, i64>, rows: &[TokenGeneration]) {
        for row in rows {
            let (device, generation) = (owner_of(row), row.generation);
            let before = before.remove(&device);
            self.replace(device, generation, |known| {
                known == before || generation > known.unwrap_or(1)
            });
        }
        let newest = self.generations.pin();
        for (device, before) in before {
            // An error means that the entry was updated meanwhile.
            let _ = newest.remove_if(&device, |_, known| *known == before);
        }
    }

    /// Sets the generation of a device if `is_wanted` accepts the known one. A change is reported as a revocation of
    /// the device's tokens.
    fn replace(&self, device: DeviceRef, generation: i64, is_wanted: impl Fn(Option<i64>) -> bool) {
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
            self.revocations.send(Revocation::Device(device));
        }
    }
}

/// Background task that polls for tokens replaced or revoked on other nodes.
pub struct RevokedTokenSync {
    db: Db,
    clock: Arc<dyn Clock>,
    tokens: Arc<RevokedTokens>,
    /// Time of the last poll; `None` forces a full read.
    polled_at: Option<DateTime<Utc>>,
    reloaded_at: Instant,
}

impl RevokedTokenSync {
    pub fn new(db: Db, clock: Arc<dyn Clock>, revocations: Revocations) -> (Self, Arc<RevokedTokens>) {
        let tokens = Arc::new(RevokedTokens::new(revocations));
        let sync = Self {
            db,
            clock,
            tokens: tokens.clone(),
            polled_at: None,
            reloaded_at: timer::runtime_now(),
        };
        (sync, tokens)
    }

    /// Reads the database once.
    pub async fn load(&mut self) -> Result<(), StorageError> {
        let now = self.clock.now();
        let floor = device_tokens::look_for_floor(&self.db).await?;
        self.tokens.set_floor(floor);
        match self.polled_at {
            Some(before) if self.reloaded_at.elapsed() < RELOAD_INTERVAL => {
                let since = before.min(now) - OVERLAP;
                for row in device_tokens::list_replaced_anywhere(&self.db, floor, Some(since)).await? {
                    self.tokens.record_generation(owner_of(&row), row.generation);
                }
            }
            _ => {
                self.tokens.reload(&self.db, floor).await?;
                self.reloaded_at = timer::runtime_now();
            }
        }
        self.polled_at = Some(now);
        Ok(())
    }

    /// Polls until the task is dropped. Until the first full read, checks accept replaced tokens.
    pub async fn run(&mut self) {
        Poller::new("device_tokens", POLL_INTERVAL).run(self).await;
    }
}

impl PollingTask for RevokedTokenSync {
    type Hint = Infallible;
    type Error = StorageError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<(), StorageError> {
        self.load().await
    }

    /// The database may have been replaced by an older state meanwhile.
    async fn recover(&mut self) {
        self.polled_at = None;
    }
}

fn owner_of(row: &TokenGeneration) -> DeviceRef {
    DeviceRef::of(row.tenant, &row.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_domain::catalog::text::DeviceId;

    fn row(generation: i64) -> TokenGeneration {
        TokenGeneration {
            tenant: TenantId::parse(1).unwrap(),
            device: DeviceId::parse("PDA001").unwrap(),
            generation,
        }
    }

    fn newest(tokens: &RevokedTokens) -> Option<i64> {
        tokens.generations.pin().get(&owner_of(&row(1))).copied()
    }

    #[test]
    fn what_was_read_before_a_revocation_does_not_undo_it() {
        let (revocations, mut revoked) = Revocations::new();
        let tokens = RevokedTokens::new(revocations);
        let device = owner_of(&row(1));
        tokens.record_generation(device.clone(), 1);
        assert_eq!(newest(&tokens), None);
        tokens.record_generation(device.clone(), 3);
        tokens.record_generation(device.clone(), 2);
        assert_eq!(newest(&tokens), Some(3));
        assert!(tokens.is_revoked(device.tenant, "PDA001", 2));
        assert_eq!(revoked.try_recv().unwrap(), Revocation::Device(device));
        assert!(revoked.try_recv().is_err(), "it is revoked once");
    }

    #[test]
    fn a_floor_ends_every_token_up_to_it() {
        let (revocations, mut revoked) = Revocations::new();
        let tokens = RevokedTokens::new(revocations);
        let tenant = TenantId::parse(1).unwrap();
        assert!(!tokens.is_revoked(tenant, "PDA001", 1));
        tokens.set_floor(1_000);
        assert_eq!(revoked.try_recv().unwrap(), Revocation::EveryDevice);
        assert!(tokens.is_revoked(tenant, "PDA001", 1) && tokens.is_revoked(tenant, "PDA002", 1_000));
        assert!(!tokens.is_revoked(tenant, "PDA001", 1_001));
        tokens.set_floor(1_000);
        assert!(revoked.try_recv().is_err());
    }

    #[test]
    fn reading_everything_lowers_what_nobody_has_raised_meanwhile() {
        let tokens = RevokedTokens::new(Revocations::new().0);
        tokens.record_generation(owner_of(&row(1)), 5);
        tokens.merge_rows(tokens.copy(), &[row(4)]);
        assert_eq!(newest(&tokens), Some(4));

        let before = tokens.copy();
        tokens.record_generation(owner_of(&row(1)), 6);
        tokens.merge_rows(before.clone(), &[row(4)]);
        assert_eq!(newest(&tokens), Some(6));
        tokens.merge_rows(before, &[]);
        assert_eq!(newest(&tokens), Some(6));

        tokens.merge_rows(tokens.copy(), &[]);
        assert_eq!(newest(&tokens), None);
    }
}
