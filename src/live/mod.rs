//! In-memory cache of the published catalog, from which checks are answered, and its synchronisation with the database.
//!
//! Readers take no lock and do not access the database. One task, the catalog sync, loads the tenants that
//! differ and swaps each in as a whole.

mod app_keys;
mod compile;
mod device_ref;
mod device_tokens;
mod loader;
mod published;
mod reload;
mod revocations;
pub mod snapshot;
mod sync;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use foldhash::quality::RandomState;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use app_keys::ServedAppKey;
pub use compile::compile_app;
pub use device_ref::{BorrowedDeviceRef, DeviceRef};
pub use device_tokens::{RevokedTokenSync, RevokedTokens};
pub use published::PublishedTenant;
pub use revocations::{Revocation, Revocations};
pub use sync::{CatalogSync, CatalogSyncParts, CatalogSyncSettings};

use self::app_keys::AppKeyIndex;
use self::snapshot::Snapshot;
use slipway_domain::catalog::ids::TenantId;

/// Maximum time that a write waits until this node serves it. The write is acknowledged even if the time expires.
const READ_YOUR_WRITES_WITHIN: Duration = Duration::from_secs(2);

/// Cached catalog of all tenants, as this node serves it.
pub struct CatalogCache {
    /// A change of a tenant swaps only that tenant's slot.
    slots: papaya::HashMap<TenantId, Slot, RandomState>,
    app_keys: AppKeyIndex,
    sync_requests: mpsc::UnboundedSender<SyncRequest>,
    /// Time of the last complete sync, in µs since the epoch; 0 = never.
    synced_at_us: AtomicI64,
    /// Number of tenants whose slot is empty.
    unreadable: AtomicI64,
    /// Number of changes of the served catalog so far.
    changes: AtomicU64,
    /// Tenants whose rows were not accepted, so that a previous catalog is served.
    held: Mutex<BTreeSet<TenantId>>,
    /// Installation that the catalog belongs to; `None` until it is known.
    installation: Mutex<Option<Uuid>>,
    stale_after: TimeDelta,
    revocations: Revocations,
}

/// Slot of one tenant; empty while its rows cannot be read.
type Slot = ArcSwapOption<PublishedTenant>;

/// Request to compare a tenant with the database and to notify `done` afterwards.
struct SyncRequest {
    tenant: TenantId,
    done: oneshot::Sender<()>,
}

/// Result of looking up a tenant or a gateway key.
pub enum Lookup<T = PublishedTenant> {
    Absent,
    /// The catalog has not been loaded, so neither presence nor absence is known.
    Unknown,
    Found(Arc<T>),
}

/// Age and size of the cached catalog, for readiness and metrics.
#[derive(Debug, Clone, Copy)]
pub struct LiveStatus {
    pub tenants: usize,
    pub apps: usize,
    pub releases: usize,
    /// Number of bytes prepared for answers.
    pub prepared_bytes: usize,
    /// Sum of the revisions of all tenants; increases with every change that this node serves.
    pub revision: i64,
    /// Time of the last complete sync; `None` until the first load.
    pub synced_at: Option<DateTime<Utc>>,
}

impl CatalogCache {
    fn new(
        sync_requests: mpsc::UnboundedSender<SyncRequest>,
        stale_after: TimeDelta,
        revocations: Revocations,
    ) -> Self {
        Self {
            slots: papaya::HashMap::default(),
            app_keys: AppKeyIndex::default(),
            sync_requests,
            synced_at_us: AtomicI64::new(0),
            unreadable: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            held: Mutex::default(),
            installation: Mutex::new(None),
            stale_after,
            revocations,
        }
    }

    pub fn tenant(&self, id: TenantId) -> Lookup {
        match self.slots.pin().get(&id) {
            Some(slot) => slot.load_full().map_or(Lookup::Unknown, Lookup::Found),
            None if self.synced_at().is_none() => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    /// Looks up a gateway key. While the rows of any tenant cannot be read, a key without a known owner may belong to
    /// that tenant, so the result is [`Lookup::Unknown`].
    pub fn app_key(&self, app_key: &str) -> Lookup<ServedAppKey> {
        // Read before the key index, because keys are indexed before a slot counts as filled.
        let knows_every_tenant = self.synced_at().is_some() && self.unreadable.load(Ordering::Acquire) == 0;
        match self.app_keys.get(app_key) {
            Some(key) => Lookup::Found(key),
            None if knows_every_tenant => Lookup::Absent,
            None => Lookup::Unknown,
        }
    }

    /// Waits until this node serves at least the committed state of a tenant, for at most two seconds.
    pub async fn catch_up(&self, tenant: TenantId) {
        let (done, is_done) = oneshot::channel();
        if self.sync_requests.send(SyncRequest { tenant, done }).is_err() {
            return;
        }
        let served = tokio::time::timeout(READ_YOUR_WRITES_WITHIN, is_done).await;
        if !matches!(served, Ok(Ok(()))) {
            tracing::warn!(tenant.id = %tenant, "acknowledged a write before this node serves it");
        }
    }

    /// Returns the time at which the catalog was last known to equal the database.
    pub fn synced_at(&self) -> Option<DateTime<Utc>> {
        match self.synced_at_us.load(Ordering::Relaxed) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }

    /// Returns the age of the catalog if it is stale.
    pub fn stale_for(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let age = now - self.synced_at()?;
        (age > self.stale_after).then_some(age)
    }

    /// Returns `true` while the rows of a tenant are not accepted, so that a previous catalog is served.
    pub fn is_held(&self, tenant: TenantId) -> bool {
        self.held_tenants().contains(&tenant)
    }

    /// Returns the number of tenants whose rows are not accepted.
    pub fn held_count(&self) -> usize {
        self.held_tenants().len()
    }

    pub fn status(&self) -> LiveStatus {
        let slots = self.slots.pin();
        let mut status = LiveStatus {
            tenants: slots.len(),
            apps: 0,
            releases: 0,
            prepared_bytes: 0,
            revision: 0,
            synced_at: self.synced_at(),
        };
        for tenant in slots.values().filter_map(Slot::load_full) {
            status.apps += tenant.app_count();
            status.releases += tenant.release_count();
            status.prepared_bytes += tenant.prepared_byte_count();
            status.revision += tenant.revision.revision;
        }
        status
    }

    /// Serves a snapshot until the database is available. The catalog has the age of the snapshot.
    pub fn serve_snapshot(&self, snapshot: Snapshot, now: DateTime<Utc>) {
        self.store_installation(snapshot.installation);
        for (tenant, published) in snapshot.tenants {
            match published {
                Some(published) => self.publish(tenant, published),
                None => self.add_unreadable(tenant),
            }
        }
        // A clock that was set back must not make the catalog appear younger.
        let as_of = snapshot.as_of.min(now);
        // The lost records may have halted a rollout, so partial rollouts are withheld as for a stale catalog.
        let as_of = if snapshot.is_outdated {
            as_of.min(now - self.stale_after - TimeDelta::seconds(1))
        } else {
            as_of
        };
        self.synced_at_us
            .store(as_of.timestamp_micros(), Ordering::Relaxed);
    }

    /// Sets the installation whose database the catalog syncs with. Tenants from a snapshot of another installation
    /// are removed, because they would count as vanished and be kept.
    pub fn set_installation(&self, installation: Uuid) {
        let before = self.installation();
        if before.is_some_and(|before| before != installation) {
            tracing::error!("the snapshot belongs to another installation; its catalog is no longer served");
            self.synced_at_us.store(0, Ordering::Relaxed);
            for (tenant, _) in self.every_tenant() {
                self.remove(tenant);
            }
        }
        self.store_installation(installation);
    }

    fn installation(&self) -> Option<Uuid> {
        *self.installation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_installation(&self, installation: Uuid) {
        *self.installation.lock().unwrap_or_else(PoisonError::into_inner) = Some(installation);
    }

    /// Returns all tenants ordered by number; `None` for those whose rows could not be read.
    pub fn every_tenant(&self) -> Vec<(TenantId, Option<Arc<PublishedTenant>>)> {
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

    /// Returns the cached catalog of a tenant.
    fn served(&self, tenant: TenantId) -> Option<Arc<PublishedTenant>> {
        self.slots.pin().get(&tenant)?.load_full()
    }

    fn held_tenants(&self) -> MutexGuard<'_, BTreeSet<TenantId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the rows of a tenant are not accepted.
    fn hold(&self, tenant: TenantId) {
        self.held_tenants().insert(tenant);
    }

    /// Records that the rows of a tenant are those that are served.
    fn end_hold(&self, tenant: TenantId) {
        self.held_tenants().remove(&tenant);
    }

    /// Swaps in the catalog of a tenant.
    fn publish(&self, tenant: TenantId, published: PublishedTenant) {
        let published = Arc::new(published);
        let slots = self.slots.pin();
        let slot = slots.get_or_insert_with(tenant, || self.empty_slot());
        self.end_hold(tenant);
        let before = slot.swap(Some(published.clone()));
        self.app_keys.replace(before.as_deref(), Some(&published));
        if before.is_none() {
            self.unreadable.fetch_sub(1, Ordering::Release);
        }
        self.changes.fetch_add(1, Ordering::Release);
        if before.is_some_and(|before| before.tenant.enabled) && !published.tenant.enabled {
            self.revocations.send(Revocation::Tenant(tenant));
        }
    }

    /// Records a tenant whose rows cannot be read.
    fn add_unreadable(&self, tenant: TenantId) {
        self.slots.pin().get_or_insert_with(tenant, || self.empty_slot());
    }

    /// Returns the slot of a new tenant. Only the catalog sync adds tenants, so each counts once.
    fn empty_slot(&self) -> Slot {
        self.unreadable.fetch_add(1, Ordering::Release);
        self.changes.fetch_add(1, Ordering::Release);
        Slot::empty()
    }

    fn remove(&self, tenant: TenantId) {
        self.end_hold(tenant);
        let slots = self.slots.pin();
        if let Some(slot) = slots.remove(&tenant) {
            let before = slot.load_full();
            self.app_keys.replace(before.as_deref(), None);
            if before.is_none() {
                self.unreadable.fetch_sub(1, Ordering::Release);
            }
            self.changes.fetch_add(1, Ordering::Release);
            self.revocations.send(Revocation::Tenant(tenant));
        }
    }
}
