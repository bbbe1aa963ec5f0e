//! The published catalog in memory: what checks are answered from, and how it follows the database.
//!
//! Readers take no lock and touch no database. One task, the `follower`, loads what differs and swaps it in whole.

mod follower;
mod published;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};

pub use follower::{Follower, FollowerSettings};
pub use published::{LiveAppKey, PublishedTenant};

use crate::catalog::ids::TenantId;

/// How long a write waits until this node serves it; then it answers all the same.
const READ_YOUR_WRITES_WITHIN: Duration = Duration::from_secs(2);

/// The catalog of every tenant, as this node serves it.
pub struct Live {
    /// Replaced only when a tenant comes or goes; a change of a tenant swaps its slot.
    slots: ArcSwap<HashMap<TenantId, Arc<Slot>>>,
    /// Which tenant has a gateway key; replaced only when keys come or go.
    app_key_owners: ArcSwap<HashMap<String, TenantId>>,
    /// How many slots are empty: while there is one, an app key that nobody is known to have may be that tenant's.
    empty_slots: AtomicUsize,
    wishes: mpsc::UnboundedSender<Wish>,
    /// When every tenant that differed had last been loaded, in microseconds since 1970; 0 is never.
    compared_at_us: AtomicI64,
    stale_after: TimeDelta,
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

/// How current and how large the catalog is, for readiness and metrics.
#[derive(Debug, Clone, Copy)]
pub struct LiveStatus {
    pub tenants: usize,
    pub apps: usize,
    pub releases: usize,
    /// The sum of all tenants' revisions: it grows with every change that this node serves.
    pub revision: i64,
    /// `None` until the first load.
    pub compared_at: Option<DateTime<Utc>>,
}

impl Live {
    fn new(wishes: mpsc::UnboundedSender<Wish>, stale_after: TimeDelta) -> Self {
        Self {
            slots: ArcSwap::default(),
            app_key_owners: ArcSwap::default(),
            empty_slots: AtomicUsize::new(0),
            wishes,
            compared_at_us: AtomicI64::new(0),
            stale_after,
        }
    }

    pub fn tenant(&self, id: TenantId) -> Lookup {
        match self.slots.load().get(&id) {
            Some(slot) => slot.load_full().map_or(Lookup::Unknown, Lookup::Found),
            None if self.compared_at().is_none() => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    /// The tenant whose gateway key this is.
    pub fn tenant_of_app_key(&self, app_key: &str) -> Lookup {
        // Asked before the keys, which are there before a slot counts as filled.
        let knows_every_tenant =
            self.compared_at().is_some() && self.empty_slots.load(Ordering::Acquire) == 0;
        match self.app_key_owners.load().get(app_key) {
            Some(owner) => self.tenant(*owner),
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
        let slots = self.slots.load();
        let mut status = LiveStatus {
            tenants: slots.len(),
            apps: 0,
            releases: 0,
            revision: 0,
            compared_at: self.compared_at(),
        };
        for tenant in slots.values().filter_map(|slot| slot.load_full()) {
            status.apps += tenant.app_count();
            status.releases += tenant.release_count();
            status.revision += tenant.pair.revision;
        }
        status
    }
}
