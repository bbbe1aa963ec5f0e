//! The published catalog in memory: what checks are answered from, and how it follows the database.
//!
//! Readers take no lock and touch no database. One task, the `follower`, loads what differs and swaps it in whole.

mod device_key;
mod device_tokens;
mod follower;
mod hints;
mod loader;
mod lockouts;
mod published;
pub mod snapshot;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use device_key::{BorrowedDeviceKey, DeviceKey};
pub use device_tokens::{DeviceTokenFollower, NewestTokens};
pub use follower::{Follower, FollowerSettings};
pub(crate) use hints::hear_all as hear_hints;
pub use lockouts::{LockedOut, Lockouts};
pub use published::{LiveAppKey, PublishedTenant};

use self::snapshot::Snapshot;
use crate::catalog::ids::TenantId;

/// How long a write waits until this node serves it; then it answers all the same.
const READ_YOUR_WRITES_WITHIN: Duration = Duration::from_secs(2);

/// The catalog of every tenant, as this node serves it.
pub struct Live {
    /// A change of a tenant swaps its slot and touches no other.
    slots: papaya::HashMap<TenantId, Arc<Slot>>,
    /// Which tenant has a gateway key: its slot, so that nothing else is looked up.
    app_key_owners: papaya::HashMap<String, Arc<Slot>>,
    wishes: mpsc::UnboundedSender<Wish>,
    /// When every tenant that differed had last been loaded, in microseconds since 1970; 0 is never.
    compared_at_us: AtomicI64,
    /// Tenants whose slot is empty.
    unread: AtomicI64,
    /// Grows with every change of what is served.
    changes: AtomicU64,
    /// Whose catalog this is, once that is known.
    installation: Mutex<Option<Uuid>>,
    stale_after: TimeDelta,
    lockouts: Lockouts,
}

/// One tenant's place; empty while its rows could not be read.
type Slot = ArcSwapOption<PublishedTenant>;

/// Somebody waits until a tenant has been compared with the database.
struct Wish {
    tenant: TenantId,
    done: oneshot::Sender<()>,
}

/// What the node knows of a tenant.
pub enum Lookup {
    /// There is no such tenant.
    Absent,
    /// Nothing can be said: its catalog has not been loaded.
    Unknown,
    Found(Arc<PublishedTenant>),
}

impl Lookup {
    fn of(slot: &Slot) -> Self {
        slot.load_full().map_or(Self::Unknown, Self::Found)
    }
}

/// How current and how large the catalog is, for readiness and metrics.
#[derive(Debug, Clone, Copy)]
pub struct LiveStatus {
    pub tenants: usize,
    pub apps: usize,
    pub releases: usize,
    /// Bytes that are prepared for answers.
    pub prepared_bytes: usize,
    /// The sum of all tenants' revisions: it grows with every change that this node serves.
    pub revision: i64,
    /// `None` until the first load.
    pub compared_at: Option<DateTime<Utc>>,
}

impl Live {
    fn new(wishes: mpsc::UnboundedSender<Wish>, stale_after: TimeDelta, lockouts: Lockouts) -> Self {
        Self {
            slots: papaya::HashMap::new(),
            app_key_owners: papaya::HashMap::new(),
            wishes,
            compared_at_us: AtomicI64::new(0),
            unread: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            installation: Mutex::new(None),
            stale_after,
            lockouts,
        }
    }

    pub fn tenant(&self, id: TenantId) -> Lookup {
        match self.slots.pin().get(&id) {
            Some(slot) => Lookup::of(slot),
            None if self.compared_at().is_none() => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    /// The tenant whose gateway key this is. While a tenant's rows could not be read, a key that nobody else has may
    /// be its own.
    pub fn tenant_of_app_key(&self, app_key: &str) -> Lookup {
        // Asked before the keys, which are there before a slot counts as filled.
        let knows_every_tenant = self.compared_at().is_some() && self.unread.load(Ordering::Acquire) == 0;
        match self.app_key_owners.pin().get(app_key) {
            Some(slot) => Lookup::of(slot),
            None if knows_every_tenant => Lookup::Absent,
            None => Lookup::Unknown,
        }
    }

    /// Waits until this node serves at least what is committed now for a tenant, at most two seconds.
    pub async fn catch_up(&self, tenant: TenantId) {
        let (done, is_done) = oneshot::channel();
        if self.wishes.send(Wish { tenant, done }).is_err() {
            return;
        }
        let served = tokio::time::timeout(READ_YOUR_WRITES_WITHIN, is_done).await;
        if !matches!(served, Ok(Ok(()))) {
            tracing::warn!(tenant.id = %tenant, "a write was acknowledged before this node serves it");
        }
    }

    /// When the catalog was last known to equal the database.
    pub fn compared_at(&self) -> Option<DateTime<Utc>> {
        match self.compared_at_us.load(Ordering::Relaxed) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }

    /// For how long the catalog has been stale; `None` while it is not.
    pub fn stale_for(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let age = now - self.compared_at()?;
        (age > self.stale_after).then_some(age)
    }

    pub fn status(&self) -> LiveStatus {
        let slots = self.slots.pin();
        let mut status = LiveStatus {
            tenants: slots.len(),
            apps: 0,
            releases: 0,
            prepared_bytes: 0,
            revision: 0,
            compared_at: self.compared_at(),
        };
        for tenant in slots.values().filter_map(|slot| slot.load_full()) {
            status.apps += tenant.app_count();
            status.releases += tenant.release_count();
            status.prepared_bytes += tenant.prepared_byte_count();
            status.revision += tenant.pair.revision;
        }
        status
    }

    /// Serves what a snapshot has, until the database can be followed. It is as old as it was when it was saved.
    pub fn serve_snapshot(&self, snapshot: Snapshot, now: DateTime<Utc>) {
        self.set_installation(snapshot.installation);
        for (tenant, published) in snapshot.tenants {
            match published {
                Some(published) => self.publish(tenant, published),
                None => self.note_unread(tenant),
            }
        }
        // A clock that was set back must not make it younger than it can be.
        let as_of = snapshot.as_of.min(now);
        // What was lost may have halted a rollout: partial rollouts are withheld, as when it is old.
        let as_of = if snapshot.is_outdated {
            as_of.min(now - self.stale_after - TimeDelta::seconds(1))
        } else {
            as_of
        };
        self.compared_at_us
            .store(as_of.timestamp_micros(), Ordering::Relaxed);
    }

    /// Tells whose database is about to be followed. What a snapshot of another installation had is forgotten: its
    /// tenants would count as vanished, and stay.
    pub fn belong_to(&self, installation: Uuid) {
        let before = self.installation();
        if before.is_some_and(|before| before != installation) {
            tracing::error!("the snapshot was another installation's; what it had is no longer served");
            self.compared_at_us.store(0, Ordering::Relaxed);
            for (tenant, _) in self.every_tenant() {
                self.remove(tenant);
            }
        }
        self.set_installation(installation);
    }

    fn installation(&self) -> Option<Uuid> {
        *self.installation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_installation(&self, installation: Uuid) {
        *self.installation.lock().unwrap_or_else(PoisonError::into_inner) = Some(installation);
    }

    /// Every tenant in the order of their numbers; `None` for those whose rows could not be read.
    fn every_tenant(&self) -> Vec<(TenantId, Option<Arc<PublishedTenant>>)> {
        let slots = self.slots.pin();
        let mut tenants: Vec<_> = slots
            .iter()
            .map(|(tenant, slot)| (*tenant, slot.load_full()))
            .collect();
        tenants.sort_unstable_by_key(|(tenant, _)| *tenant);
        tenants
    }

    fn change_count(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What is served of a tenant.
    fn served(&self, tenant: TenantId) -> Option<Arc<PublishedTenant>> {
        self.slots.pin().get(&tenant)?.load_full()
    }

    /// Swaps a tenant's catalog in.
    fn publish(&self, tenant: TenantId, published: PublishedTenant) {
        let published = Arc::new(published);
        let slot = self.slot(tenant);
        let before = slot.swap(Some(published.clone()));
        self.index_app_keys(&slot, before.as_deref(), Some(&published));
        if before.is_none() {
            self.unread.fetch_sub(1, Ordering::Release);
        }
        self.changes.fetch_add(1, Ordering::Release);
        if before.is_some_and(|before| before.tenant.enabled) && !published.tenant.enabled {
            self.lockouts.tell(LockedOut::Tenant(tenant));
        }
    }

    /// Notes that there is such a tenant, whose rows cannot be read.
    fn note_unread(&self, tenant: TenantId) {
        self.slot(tenant);
    }

    /// A tenant's slot, made empty where there is none.
    fn slot(&self, tenant: TenantId) -> Arc<Slot> {
        let slots = self.slots.pin();
        if let Some(slot) = slots.get(&tenant) {
            return slot.clone();
        }
        // Only the follower writes, so nobody else can have made it meanwhile.
        let slot = Arc::new(Slot::empty());
        self.unread.fetch_add(1, Ordering::Release);
        slots.insert(tenant, slot.clone());
        self.changes.fetch_add(1, Ordering::Release);
        slot
    }

    fn remove(&self, tenant: TenantId) {
        let slots = self.slots.pin();
        if let Some(slot) = slots.remove(&tenant) {
            let before = slot.load_full();
            self.index_app_keys(slot, before.as_deref(), None);
            if before.is_none() {
                self.unread.fetch_sub(1, Ordering::Release);
            }
            self.changes.fetch_add(1, Ordering::Release);
            self.lockouts.tell(LockedOut::Tenant(tenant));
        }
    }

    /// Notes which gateway keys a tenant has gained or lost.
    fn index_app_keys(
        &self,
        slot: &Arc<Slot>,
        before: Option<&PublishedTenant>,
        after: Option<&PublishedTenant>,
    ) {
        fn names(published: Option<&PublishedTenant>) -> BTreeSet<&String> {
            published
                .into_iter()
                .flat_map(PublishedTenant::app_key_names)
                .collect()
        }
        let (before, after) = (names(before), names(after));
        let owners = self.app_key_owners.pin();
        for gone in before.difference(&after) {
            owners.remove(*gone);
        }
        for come in after.difference(&before) {
            owners.insert((*come).clone(), slot.clone());
        }
    }
}
