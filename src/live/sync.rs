//! Keeps the cached catalog in sync with the database by comparing states, never by replaying events.
//!
//! A tenant whose revision differs from the cached one is loaded in one consistent read and swapped in as a whole.
//! Therefore a missed hint or a failover cannot hide a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::loader::{LoadResult, Loader};
use super::reload::RowLoss;
use super::snapshot::{Origin, SnapshotDirectory};
use super::{CatalogCache, Revocations, SyncRequest};
use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::hints::{CatalogSubscription, HintBus, HintEvent};
use crate::poller::{PollOutcome, Poller, PollingTask};
use crate::secrets::Keyring;
use crate::storage::catalog_states::{self, CatalogState};
use crate::storage::{Db, Hint, StorageError};
use crate::timer;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_resolver::OfferEncoders;

/// Number of most recently changed tenants that a poll compares.
const NEWEST: u64 = 64;
/// Interval between comparisons of all tenants, regardless of what the polls return.
const COMPARE_ALL_EVERY: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub struct CatalogSyncSettings {
    pub poll_interval: Duration,
    /// Time without a comparison after which the catalog is stale.
    pub stale_after: TimeDelta,
    /// Encoders of the offers in the compiled apps.
    pub encoders: OfferEncoders,
    /// Addresses of the artifacts in offers.
    pub download_urls: DownloadUrls,
}

/// Dependencies of a [`CatalogSync`].
pub struct CatalogSyncParts {
    /// Dedicated connection.
    pub db: Db,
    /// General pool, which assists with large loads.
    pub pool: Db,
    pub clock: Arc<dyn Clock>,
    pub keyring: Arc<Keyring>,
    pub hints: HintBus,
    pub revocations: Revocations,
}

/// Background task that keeps a [`CatalogCache`] in sync with the database.
pub struct CatalogSync {
    /// Dedicated connection, reopened after a failure.
    db: Db,
    /// General pool, which assists with large loads.
    pool: Db,
    live: Arc<CatalogCache>,
    clock: Arc<dyn Clock>,
    keyring: Arc<Keyring>,
    sync_requests: mpsc::UnboundedReceiver<SyncRequest>,
    hints: HintBus,
    changes: CatalogSubscription,
    settings: CatalogSyncSettings,
    /// Forces the next poll to compare every tenant: at start and after the database was unavailable.
    must_compare_all: bool,
    compared_all_at: Instant,
    /// Sync requests that are not completed yet.
    pending: Vec<SyncRequest>,
    /// Revisions that were rejected, by tenant. A tenant is retried when its revision changes, and every minute.
    refused: HashMap<TenantId, CatalogRevision>,
}

impl CatalogSync {
    /// Name of the task.
    pub const NAME: &str = "catalog_follower";

    pub fn new(parts: CatalogSyncParts, settings: CatalogSyncSettings) -> (Self, Arc<CatalogCache>) {
        let (sender, sync_requests) = mpsc::unbounded_channel();
        let live = Arc::new(CatalogCache::new(sender, settings.stale_after, parts.revocations));
        let sync = Self {
            db: parts.db,
            pool: parts.pool,
            live: live.clone(),
            clock: parts.clock,
            keyring: parts.keyring,
            sync_requests,
            changes: parts.hints.subscribe_to_catalog(),
            hints: parts.hints,
            settings,
            must_compare_all: true,
            compared_all_at: timer::runtime_now(),
            pending: Vec::new(),
            refused: HashMap::new(),
        };
        (sync, live)
    }

    /// Compares once, so that a server starts with a catalog.
    pub async fn load(&mut self) -> Result<(), StorageError> {
        self.compare().await
    }

    /// Serves the newest snapshot until the database is available. Without a snapshot, every lookup is unknown. `why`
    /// is the reason for the log.
    pub fn start_from_snapshot(&self, snapshots: &SnapshotDirectory, why: &str) -> Origin {
        let Some(snapshot) = snapshots.load_newest(&self.keyring) else {
            tracing::error!(
                why,
                "the database is unavailable and there is no snapshot; checks are refused until it is back"
            );
            return Origin::DATABASE;
        };
        let origin = snapshot.origin();
        tracing::warn!(
            why,
            as_of = %snapshot.as_of,
            "the database is unavailable; this node starts with the catalog of a snapshot"
        );
        self.live.serve_snapshot(snapshot, self.clock.now());
        origin
    }

    /// Sets the installation whose database the catalog syncs with; see [`CatalogCache::set_installation`].
    pub fn set_installation(&self, installation: Uuid) {
        self.live.set_installation(installation);
    }

    /// Syncs until the task is dropped.
    pub async fn run(&mut self) {
        // A previous run may have stopped at any await.
        self.must_compare_all = true;
        Poller::new(Self::NAME, self.settings.poll_interval)
            .run(self)
            .await;
    }

    /// Compares the tenants of all pending sync requests, then notifies the waiters. After a failure, the requests stay
    /// pending.
    async fn serve_sync_requests(&mut self) -> Result<(), StorageError> {
        self.hints.publish(Hint::Catalog);
        while let Ok(request) = self.sync_requests.try_recv() {
            self.pending.push(request);
        }
        let tenants: BTreeSet<_> = self.pending.iter().map(|request| request.tenant).collect();
        self.reload(&tenants.into_iter().collect::<Vec<_>>(), true)
            .await?;
        for request in self.pending.drain(..) {
            // The waiter may have stopped waiting.
            let _ = request.done.send(());
        }
        Ok(())
    }

    /// Compares the most recently changed tenants, or all tenants if that may not be enough.
    async fn compare(&mut self) -> Result<(), StorageError> {
        let polled_at = self.clock.now();
        let mut all_were_compared =
            self.must_compare_all || self.compared_all_at.elapsed() >= COMPARE_ALL_EVERY;
        if !all_were_compared {
            let newest = catalog_states::list_latest(&self.db, NEWEST).await?;
            let changed = self.changed_tenants(&newest);
            // If all of them differ, more tenants may have changed.
            all_were_compared = changed.len() as u64 == NEWEST;
            if !all_were_compared {
                self.reload(&changed, self.has_same_history(&newest)).await?;
            }
        }
        if all_were_compared {
            self.compare_all().await?;
        }
        self.live
            .synced_at_us
            .store(polled_at.timestamp_micros(), Ordering::Relaxed);
        Ok(())
    }

    async fn compare_all(&mut self) -> Result<(), StorageError> {
        self.refused.clear();
        let rows = catalog_states::list_all(&self.db).await?;
        let has_same_history = self.has_same_history(&rows);
        self.drop_absent(&rows, has_same_history);
        for row in rows.iter().filter(|row| self.serves(row)) {
            self.live.end_hold(row.tenant);
        }
        self.reload(&self.changed_tenants(&rows), has_same_history)
            .await?;
        self.must_compare_all = false;
        self.compared_all_at = timer::runtime_now();
        Ok(())
    }

    fn changed_tenants(&self, rows: &[CatalogState]) -> Vec<TenantId> {
        rows.iter()
            .filter(|row| !self.serves(row))
            .filter(|row| self.refused.get(&row.tenant) != Some(&row.revision))
            .map(|row| row.tenant)
            .collect()
    }

    /// Returns `true` if the cached catalog of the tenant has this state, with the addresses of this node.
    fn serves(&self, row: &CatalogState) -> bool {
        self.live.served(row.tenant).is_some_and(|served| {
            served.revision == row.revision && served.download_urls == self.settings.download_urls
        })
    }

    /// Returns `true` if every revision can follow the cached one. Otherwise the database has another history: it
    /// failed over to a standby that had missed commits, or was restored.
    fn has_same_history(&self, rows: &[CatalogState]) -> bool {
        rows.iter().all(|row| {
            self.served_revision(row.tenant)
                .is_none_or(|served| row.revision == served || row.revision.revision > served.revision)
        })
    }

    fn served_revision(&self, tenant: TenantId) -> Option<CatalogRevision> {
        Some(self.live.served(tenant)?.revision.clone())
    }

    /// Loads tenants and swaps them in.
    async fn reload(&mut self, tenants: &[TenantId], has_same_history: bool) -> Result<(), StorageError> {
        let loader = Loader {
            live: self.live.clone(),
            keyring: self.keyring.clone(),
            has_same_history,
            encoders: self.settings.encoders,
            download_urls: self.settings.download_urls.clone(),
        };
        let mut refused = Vec::new();
        let live = &self.live;
        loader
            .load(&self.db, &self.pool, tenants, |tenant, loaded| match loaded {
                LoadResult::Tenant(published) => live.publish(tenant, *published),
                LoadResult::Absent if has_same_history && live.served(tenant).is_some() => {
                    report_vanished(tenant);
                    live.hold(tenant);
                }
                LoadResult::Absent => live.remove(tenant),
                refusal => {
                    report_rejection(tenant, &refusal);
                    live.add_unreadable(tenant);
                    live.hold(tenant);
                    refused.push(tenant);
                }
            })
            .await?;
        for tenant in refused {
            if let Some(revision) = catalog_states::find_revision(&self.db, tenant).await? {
                self.refused.insert(tenant, revision);
            }
        }
        metrics::gauge!("slipway_catalog_refused_tenants").set(self.refused_count());
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge of fewer tenants than 2^52")]
    fn refused_count(&self) -> f64 {
        self.refused.len() as f64
    }

    /// Removes tenants that are absent from the database. Tenants are never deleted, so one that vanishes within the
    /// same history is kept.
    fn drop_absent(&self, rows: &[CatalogState], has_same_history: bool) {
        let present: BTreeSet<_> = rows.iter().map(|row| row.tenant).collect();
        let slots = self.live.slots.pin();
        for tenant in slots.keys().filter(|tenant| !present.contains(tenant)) {
            if has_same_history {
                report_vanished(*tenant);
                self.live.hold(*tenant);
            } else {
                self.live.remove(*tenant);
            }
        }
    }
}

impl PollingTask for CatalogSync {
    type Hint = ();
    type Error = StorageError;

    async fn next_hint(&mut self) {
        tokio::select! {
            request = self.sync_requests.recv() => self.pending.extend(request),
            event = self.changes.next_event() => self.must_compare_all |= event == HintEvent::HintsLost,
        }
    }

    async fn poll(&mut self, _: Option<()>) -> Result<PollOutcome, StorageError> {
        let polled = if self.pending.is_empty() {
            self.compare().await
        } else {
            self.serve_sync_requests().await
        };
        if polled.is_err() {
            metrics::counter!("slipway_catalog_follow_failures_total").increment(1);
        }
        polled.map(|()| PollOutcome::Polled)
    }

    /// Reconnects, because existing connections may be half-open.
    async fn recover(&mut self) {
        self.must_compare_all = true;
        match self.db.reopen().await {
            Ok(db) => self.db = db,
            Err(error) => tracing::debug!(error = error_chain(&error), "reconnecting to the database failed"),
        }
    }
}

fn report_vanished(tenant: TenantId) {
    tracing::error!(tenant.id = %tenant, "a tenant's rows vanished; its last valid catalog is kept");
    metrics::counter!("slipway_catalog_held_total").increment(1);
}

fn report_rejection(tenant: TenantId, refusal: &LoadResult) {
    match refusal {
        LoadResult::Unreadable(error) => {
            tracing::error!(
                tenant.id = %tenant,
                error = error_chain(error),
                "a tenant's rows cannot be read; its last valid catalog is kept"
            );
            metrics::counter!("slipway_catalog_unreadable_total").increment(1);
        }
        LoadResult::Panicked(message) => {
            tracing::error!(
                tenant.id = %tenant,
                message,
                "loading a tenant's rows panicked; its last valid catalog is kept"
            );
            metrics::counter!("slipway_catalog_unreadable_total").increment(1);
        }
        LoadResult::Suspicious(RowLoss {
            rows_before,
            rows_now,
        }) => {
            tracing::error!(
                tenant.id = %tenant,
                rows_before,
                rows_now,
                "most of a tenant's rows vanished without an audited deletion; its last valid catalog is kept"
            );
            metrics::counter!("slipway_catalog_held_total").increment(1);
        }
        LoadResult::Tenant(_) | LoadResult::Absent => {}
    }
}
