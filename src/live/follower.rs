//! Follows the database by comparing states, never by replaying events: a tenant whose pair differs from the one
//! served is loaded in one consistent read and swapped in whole. A missed hint or a failover cannot hide a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::published::{LiveAppKey, LoadedApp, PublishedTenant};
use super::{Live, Slot, Wish};
use crate::access::AppKey;
use crate::catalog::ids::TenantId;
use crate::clock::Clock;
use crate::resolve::PublishedApp;
use crate::secrets::{Keyring, SealedSecret, sealed_for_app_key};
use crate::storage::app_keys::SealedSecrets;
use crate::storage::feed::{self, CatalogState};
use crate::storage::releases::ReleaseSelection;
use crate::storage::{CatalogPair, Db, ReadTx, StorageError};

/// How many of the tenants that changed last a poll looks at.
const NEWEST: u64 = 64;
/// How often every tenant is compared, whatever the polls saw.
const COMPARE_ALL_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
pub struct FollowerSettings {
    pub poll_interval: Duration,
    /// After so long without a comparison the catalog is stale.
    pub stale_after: TimeDelta,
}

/// The task that keeps a [`Live`] equal to the database.
pub struct Follower {
    db: Db,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    keyring: Arc<Keyring>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    poll_interval: Duration,
    /// Whether the next look must compare every tenant: at start and after the database was away.
    must_compare_all: bool,
    compared_all_at: Instant,
    /// Wishes that could not be granted yet.
    pending: Vec<Wish>,
    /// The states of tenants whose rows could not be read: they are tried again when they change, and each minute.
    unreadable: HashMap<TenantId, CatalogPair>,
}

impl Follower {
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        keyring: Arc<Keyring>,
        settings: FollowerSettings,
    ) -> (Self, Arc<Live>) {
        let (sender, wishes) = mpsc::unbounded_channel();
        let live = Arc::new(Live::new(sender, settings.stale_after));
        let follower = Self {
            db,
            live: live.clone(),
            clock,
            keyring,
            wishes,
            poll_interval: settings.poll_interval,
            must_compare_all: true,
            compared_all_at: Instant::now(),
            pending: Vec::new(),
            unreadable: HashMap::new(),
        };
        (follower, live)
    }

    /// Compares once, so that a server can begin with a catalog.
    pub async fn load(&mut self) -> Result<(), StorageError> {
        self.look().await
    }

    /// Follows until the task is dropped.
    pub async fn run(mut self) {
        let mut ticks = interval(self.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wish = tokio::select! {
                wish = self.wishes.recv() => wish,
                _ = ticks.tick() => None,
            };
            self.pending.extend(wish);
            let outcome = if self.pending.is_empty() {
                self.look().await
            } else {
                self.grant().await
            };
            if let Err(error) = outcome {
                tracing::warn!(
                    error = causes(&error),
                    "the catalog could not be compared with the database"
                );
                metrics::counter!("slipway_catalog_follow_failures_total").increment(1);
                self.must_compare_all = true;
            }
        }
    }

    /// Compares the tenants of all wishes that wait, then tells who waited. After a failure they go on waiting.
    async fn grant(&mut self) -> Result<(), StorageError> {
        while let Ok(wish) = self.wishes.try_recv() {
            self.pending.push(wish);
        }
        let tenants: BTreeSet<_> = self.pending.iter().map(|wish| wish.tenant).collect();
        for tenant in tenants {
            self.reload(tenant).await?;
        }
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
                self.reload_each(differing).await?;
            }
        }
        if all_were_compared {
            self.unreadable.clear();
            let rows = feed::all(&self.db).await?;
            self.drop_absent(&rows);
            self.reload_each(self.differing(&rows)).await?;
            self.must_compare_all = false;
            self.compared_all_at = Instant::now();
        }
        self.live
            .compared_at_us
            .store(looked_at.timestamp_micros(), Ordering::Relaxed);
        Ok(())
    }

    fn differing(&self, rows: &[CatalogState]) -> Vec<TenantId> {
        rows.iter()
            .filter(|row| self.served_pair(row.tenant).as_ref() != Some(&row.pair))
            .filter(|row| self.unreadable.get(&row.tenant) != Some(&row.pair))
            .map(|row| row.tenant)
            .collect()
    }

    fn served_pair(&self, tenant: TenantId) -> Option<CatalogPair> {
        let slots = self.live.slots.load();
        slots
            .get(&tenant)?
            .load()
            .as_ref()
            .map(|served| served.pair.clone())
    }

    async fn reload_each(&mut self, tenants: Vec<TenantId>) -> Result<(), StorageError> {
        for tenant in tenants {
            self.reload(tenant).await?;
        }
        Ok(())
    }

    /// Loads one tenant. Rows that cannot be read are that tenant's trouble alone: it keeps its last good catalog.
    async fn reload(&mut self, tenant: TenantId) -> Result<(), StorageError> {
        let reader = self.db.begin_read().await?;
        match self.load_tenant(&reader, tenant).await {
            Ok(Some(published)) => self.publish(tenant, Some(published)),
            Ok(None) => self.remove(tenant),
            Err(error @ (StorageError::CorruptRow { .. } | StorageError::Other(_))) => {
                tracing::error!(
                    tenant.id = %tenant,
                    error = causes(&error),
                    "a tenant's rows cannot be read; its last good catalog stays"
                );
                metrics::counter!("slipway_catalog_unreadable_total").increment(1);
                self.publish(tenant, None);
                drop(reader);
                if let Some(pair) = feed::find_pair(&self.db, tenant).await? {
                    self.unreadable.insert(tenant, pair);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn load_tenant(
        &self,
        reader: &ReadTx,
        tenant: TenantId,
    ) -> Result<Option<PublishedTenant>, StorageError> {
        let Some(row) = feed::load_tenant(reader, tenant).await? else {
            return Ok(None);
        };
        let served = self
            .live
            .slots
            .load()
            .get(&tenant)
            .and_then(|slot| slot.load_full());
        let mut apps = HashMap::with_capacity(row.apps.len());
        for summary in &row.apps {
            let unchanged = served
                .as_ref()
                .and_then(|served| served.loaded_app(summary.id))
                .filter(|loaded| loaded.pair == summary.pair);
            let loaded = match unchanged {
                Some(loaded) => Some(loaded.clone()),
                None => feed::load_app(reader, tenant, summary.id, ReleaseSelection::Effective)
                    .await?
                    .map(|rows| LoadedApp {
                        pair: rows.pair,
                        app: Arc::new(PublishedApp::compile(
                            rows.app,
                            rows.resources,
                            rows.releases,
                            rows.pins,
                        )),
                    }),
            };
            if let Some(loaded) = loaded {
                apps.insert(summary.id, loaded);
            }
        }
        let app_keys = row
            .app_keys
            .iter()
            .map(|(key, secrets)| self.open(tenant, key, secrets))
            .collect();
        Ok(Some(PublishedTenant::new(row, apps, app_keys)))
    }

    /// A key whose secret cannot be opened is that key's trouble alone.
    fn open(&self, tenant: TenantId, key: &AppKey, secrets: &SealedSecrets) -> (String, LiveAppKey) {
        let owner = sealed_for_app_key(key.id);
        let sealed = std::iter::once(&secrets.current).chain(&secrets.previous);
        let opened: Vec<_> = sealed
            .filter_map(|secret| {
                let secret = SealedSecret {
                    key_id: secret.sealing_key_id.clone(),
                    sealed: secret.text.clone(),
                };
                let opened = self.keyring.open(&secret, &owner);
                if let Err(error) = &opened {
                    tracing::error!(tenant.id = %tenant, app_key = key.app_key, %error, "an app secret cannot be opened");
                }
                opened.ok()
            })
            .collect();
        let live = LiveAppKey {
            role: key.role,
            secrets: opened,
        };
        (key.app_key.clone(), live)
    }

    /// Notes which gateway keys a tenant has gained or lost.
    fn index_app_keys(
        &self,
        tenant: TenantId,
        before: Option<&PublishedTenant>,
        after: Option<&PublishedTenant>,
    ) {
        let names = |published: Option<&PublishedTenant>| -> BTreeSet<String> {
            published
                .into_iter()
                .flat_map(PublishedTenant::app_key_names)
                .cloned()
                .collect()
        };
        let (before, after) = (names(before), names(after));
        if before == after {
            return;
        }
        let mut owners = HashMap::clone(&self.live.app_key_owners.load());
        for gone in before.difference(&after) {
            owners.remove(gone);
        }
        for come in after.difference(&before) {
            owners.insert(come.clone(), tenant);
        }
        self.live.app_key_owners.store(Arc::new(owners));
    }

    /// Swaps a tenant's catalog in; `None` leaves what is there, so that a new but unreadable tenant is known of.
    fn publish(&self, tenant: TenantId, published: Option<PublishedTenant>) {
        let slots = self.live.slots.load();
        let slot = slots.get(&tenant).cloned().unwrap_or_else(|| {
            let slot = Arc::new(Slot::empty());
            self.live.empty_slots.fetch_add(1, Ordering::Release);
            let mut grown = HashMap::clone(&slots);
            grown.insert(tenant, slot.clone());
            self.live.slots.store(Arc::new(grown));
            slot
        });
        if let Some(published) = published {
            let published = Arc::new(published);
            let before = slot.swap(Some(published.clone()));
            self.index_app_keys(tenant, before.as_deref(), Some(&published));
            if before.is_none() {
                self.live.empty_slots.fetch_sub(1, Ordering::Release);
            }
        }
    }

    fn drop_absent(&self, rows: &[CatalogState]) {
        let present: BTreeSet<_> = rows.iter().map(|row| row.tenant).collect();
        let slots = self.live.slots.load();
        for tenant in slots.keys().filter(|tenant| !present.contains(tenant)) {
            self.remove(*tenant);
        }
    }

    fn remove(&self, tenant: TenantId) {
        let slots = self.live.slots.load();
        if let Some(slot) = slots.get(&tenant) {
            let before = slot.load_full();
            self.index_app_keys(tenant, before.as_deref(), None);
            let mut shrunk = HashMap::clone(&slots);
            shrunk.remove(&tenant);
            self.live.slots.store(Arc::new(shrunk));
            if before.is_none() {
                self.live.empty_slots.fetch_sub(1, Ordering::Release);
            }
        }
    }
}

/// An error and what caused it, in one line.
fn causes(error: &StorageError) -> String {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
