//! Follows the database by comparing states, never by replaying events: a tenant whose pair differs from the one
//! served is loaded in one consistent read and swapped in whole. A missed hint or a failover cannot hide a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::hints::{self, Signals};
use super::loader::{Loaded, Loader};
use super::snapshot::{Origin, SnapshotDirectory};
use super::{Live, Lockouts, Wish};
use crate::backoff::Backoff;
use crate::catalog::ids::TenantId;
use crate::causes::causes;
use crate::clock::Clock;
use crate::secrets::Keyring;
use crate::storage::feed::{self, CatalogState};
use crate::storage::{CatalogPair, Db, StorageError};
use crate::supervision::{Importance, Tasks};

/// How many of the tenants that changed last a poll looks at.
const NEWEST: u64 = 64;
/// How often every tenant is compared, whatever the polls saw.
const COMPARE_ALL_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
pub struct FollowerSettings {
    pub poll_interval: Duration,
    /// After so long without a comparison the catalog is stale.
    pub stale_after: TimeDelta,
    /// Send and heed hints of changes between nodes.
    pub hints: bool,
}

/// The task that keeps a [`Live`] equal to the database.
pub struct Follower {
    /// A connection of its own, which is opened anew after a failure.
    db: Db,
    /// What the node's other tasks of this kind use.
    pollers: Db,
    /// The pool of all others, which helps with large loads.
    pool: Db,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    keyring: Arc<Keyring>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    signals: Arc<Signals>,
    settings: FollowerSettings,
    /// Whether the next look must compare every tenant: at start and after the database was away.
    must_compare_all: bool,
    compared_all_at: Instant,
    /// Wishes that could not be granted yet.
    pending: Vec<Wish>,
    /// The states of tenants that were not taken: they are tried again when they change, and each minute.
    refused: HashMap<TenantId, CatalogPair>,
}

impl Follower {
    pub fn new(
        (db, pollers, pool): (Db, Db, Db),
        clock: Arc<dyn Clock>,
        keyring: Arc<Keyring>,
        settings: FollowerSettings,
        lockouts: Lockouts,
    ) -> (Self, Arc<Live>) {
        let (sender, wishes) = mpsc::unbounded_channel();
        let live = Arc::new(Live::new(sender, settings.stale_after, lockouts));
        let follower = Self {
            db,
            pollers,
            pool,
            live: live.clone(),
            clock,
            keyring,
            wishes,
            signals: Arc::default(),
            settings,
            must_compare_all: true,
            compared_all_at: Instant::now(),
            pending: Vec::new(),
            refused: HashMap::new(),
        };
        (follower, live)
    }

    /// Compares once, so that a server can begin with a catalog.
    pub async fn load(&mut self) -> Result<(), StorageError> {
        self.look().await
    }

    /// Serves the newest snapshot until the database can be followed; without one, nothing is known. `why` the database
    /// is unavailable is for the log.
    pub fn begin_without_database(&self, snapshots: &SnapshotDirectory, why: &str) -> Origin {
        let Some(snapshot) = snapshots.load_newest(&self.keyring) else {
            tracing::error!(
                why,
                "the database is unavailable and there is no snapshot; checks are refused until it comes"
            );
            return Origin::DATABASE;
        };
        let origin = snapshot.origin();
        tracing::warn!(
            why,
            as_of = %snapshot.as_of,
            "the database is unavailable; this node begins with the catalog of a snapshot"
        );
        self.live.serve_snapshot(snapshot, self.clock.now());
        origin
    }

    /// Tells whose database is about to be followed; see [`Live::belong_to`].
    pub fn belong_to(&self, installation: Uuid) {
        self.live.belong_to(installation);
    }

    /// Spawns the tasks that exchange hints with other nodes, if hints are switched on.
    pub fn spawn_hint_tasks(&self, tasks: &Tasks) -> Vec<JoinHandle<()>> {
        if !self.settings.hints {
            return Vec::new();
        }
        let state = || (self.pollers.clone(), self.signals.clone());
        vec![
            tasks.supervise(
                "catalog_hint_sender",
                Importance::Auxiliary,
                state(),
                |(db, signals)| hints::send(db, signals).boxed(),
            ),
            tasks.supervise(
                "catalog_hint_listener",
                Importance::Auxiliary,
                state(),
                |(db, signals)| hints::hear(db, signals).boxed(),
            ),
        ]
    }

    /// Follows until the task is dropped.
    pub async fn run(&mut self) {
        // A run before this one may have stopped at any await.
        self.must_compare_all = true;
        let mut ticks = interval(self.settings.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        let signals = self.signals.clone();
        loop {
            let wish = tokio::select! {
                wish = self.wishes.recv() => wish,
                () = signals.look.notified() => None,
                _ = ticks.tick() => None,
            };
            self.pending.extend(wish);
            match self.follow().await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => self.recover(&error, backoff.next()).await,
            }
        }
    }

    async fn follow(&mut self) -> Result<(), StorageError> {
        self.must_compare_all |= self.signals.compare_all.swap(false, Ordering::Relaxed);
        if self.pending.is_empty() {
            self.look().await
        } else {
            self.grant().await
        }
    }

    /// Waits, then goes on with new connections: those of before may be half open.
    async fn recover(&mut self, error: &StorageError, wait: Duration) {
        tracing::warn!(
            error = causes(error),
            "the catalog could not be compared with the database"
        );
        metrics::counter!("slipway_catalog_follow_failures_total").increment(1);
        self.must_compare_all = true;
        tokio::time::sleep(wait).await;
        match self.db.reopen().await {
            Ok(db) => self.db = db,
            Err(error) => tracing::debug!(error = causes(&error), "the database cannot be opened anew"),
        }
    }

    /// Compares the tenants of all wishes that wait, then tells who waited. After a failure they go on waiting.
    async fn grant(&mut self) -> Result<(), StorageError> {
        self.signals.committed.notify_one();
        while let Ok(wish) = self.wishes.try_recv() {
            self.pending.push(wish);
        }
        let tenants: BTreeSet<_> = self.pending.iter().map(|wish| wish.tenant).collect();
        self.reload(&tenants.into_iter().collect::<Vec<_>>(), true)
            .await?;
        for wish in self.pending.drain(..) {
            // Who stopped waiting does not mind.
            let _ = wish.done.send(());
        }
        Ok(())
    }

    /// Compares the tenants that changed last, or all of them when those cannot tell enough.
    async fn look(&mut self) -> Result<(), StorageError> {
        let looked_at = self.clock.now();
        let mut all_were_compared =
            self.must_compare_all || self.compared_all_at.elapsed() >= COMPARE_ALL_EVERY;
        if !all_were_compared {
            let newest = feed::newest(&self.db, NEWEST).await?;
            let differing = self.differing(&newest);
            // When all of them differ there may be more behind them.
            all_were_compared = differing.len() as u64 == NEWEST;
            if !all_were_compared {
                self.reload(&differing, self.is_same_history(&newest)).await?;
            }
        }
        if all_were_compared {
            self.compare_all().await?;
        }
        self.live
            .compared_at_us
            .store(looked_at.timestamp_micros(), Ordering::Relaxed);
        Ok(())
    }

    async fn compare_all(&mut self) -> Result<(), StorageError> {
        self.refused.clear();
        let rows = feed::all(&self.db).await?;
        let is_same_history = self.is_same_history(&rows);
        self.drop_absent(&rows, is_same_history);
        self.reload(&self.differing(&rows), is_same_history).await?;
        self.must_compare_all = false;
        self.compared_all_at = Instant::now();
        Ok(())
    }

    fn differing(&self, rows: &[CatalogState]) -> Vec<TenantId> {
        rows.iter()
            .filter(|row| self.served_pair(row.tenant).as_ref() != Some(&row.pair))
            .filter(|row| self.refused.get(&row.tenant) != Some(&row.pair))
            .map(|row| row.tenant)
            .collect()
    }

    /// Whether every pair can have come after the one served. One that cannot was not in the history that was
    /// followed so far: the database failed over to a standby that had missed commits, or was restored.
    fn is_same_history(&self, rows: &[CatalogState]) -> bool {
        rows.iter().all(|row| {
            self.served_pair(row.tenant)
                .is_none_or(|served| row.pair == served || row.pair.revision > served.revision)
        })
    }

    fn served_pair(&self, tenant: TenantId) -> Option<CatalogPair> {
        Some(self.live.served(tenant)?.pair.clone())
    }

    /// Loads tenants and swaps them in.
    async fn reload(&mut self, tenants: &[TenantId], is_same_history: bool) -> Result<(), StorageError> {
        let loader = Loader {
            live: self.live.clone(),
            keyring: self.keyring.clone(),
            may_hold: is_same_history,
        };
        let mut refused = Vec::new();
        let live = &self.live;
        loader
            .load((&self.db, &self.pool), tenants, |tenant, loaded| match loaded {
                Loaded::Tenant(published) => live.publish(tenant, *published),
                Loaded::Absent if is_same_history && live.served(tenant).is_some() => {
                    alarm_vanished(tenant);
                }
                Loaded::Absent => live.remove(tenant),
                refusal => {
                    alarm(tenant, &refusal);
                    live.note_unread(tenant);
                    refused.push(tenant);
                }
            })
            .await?;
        for tenant in refused {
            if let Some(pair) = feed::find_pair(&self.db, tenant).await? {
                self.refused.insert(tenant, pair);
            }
        }
        metrics::gauge!("slipway_catalog_refused_tenants").set(self.refused_count());
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge of fewer tenants than 2^52")]
    fn refused_count(&self) -> f64 {
        self.refused.len() as f64
    }

    /// Tenants are never deleted: one that vanishes within one history is kept.
    fn drop_absent(&self, rows: &[CatalogState], is_same_history: bool) {
        let present: BTreeSet<_> = rows.iter().map(|row| row.tenant).collect();
        let slots = self.live.slots.pin();
        for tenant in slots.keys().filter(|tenant| !present.contains(tenant)) {
            if is_same_history {
                alarm_vanished(*tenant);
            } else {
                self.live.remove(*tenant);
            }
        }
    }
}

fn alarm_vanished(tenant: TenantId) {
    tracing::error!(tenant.id = %tenant, "a tenant's rows vanished; its last good catalog stays");
    metrics::counter!("slipway_catalog_held_total").increment(1);
}

fn alarm(tenant: TenantId, refusal: &Loaded) {
    match refusal {
        Loaded::Unreadable(error) => {
            tracing::error!(
                tenant.id = %tenant,
                error = causes(error),
                "a tenant's rows cannot be read; its last good catalog stays"
            );
            metrics::counter!("slipway_catalog_unreadable_total").increment(1);
        }
        Loaded::Panicked(message) => {
            tracing::error!(
                tenant.id = %tenant,
                message,
                "loading a tenant's rows panicked; its last good catalog stays"
            );
            metrics::counter!("slipway_catalog_unreadable_total").increment(1);
        }
        Loaded::Suspicious {
            rows_before,
            rows_now,
        } => {
            tracing::error!(
                tenant.id = %tenant,
                rows_before,
                rows_now,
                "most of a tenant's rows vanished without an audited deletion; its last good catalog stays"
            );
            metrics::counter!("slipway_catalog_held_total").increment(1);
        }
        Loaded::Tenant(_) | Loaded::Absent => {}
    }
}
