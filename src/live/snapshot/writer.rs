//! Background task that saves snapshots periodically.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::content::Packer;
use super::directory::{SnapshotDirectory, report_age};
use super::frames::{ChainPosition, FrameWriter, Header, PackedBlock};
use super::journal::Journal;
use super::previous::{BlockIndex, IndexedBlock, PreviousSnapshot};
use super::throttle::Throttle;
use super::{Origin, SnapshotError};
use crate::clock::Clock;
use crate::live::{CatalogCache, PublishedTenant};
use crate::secrets::Keyring;
use slipway_domain::catalog::ids::TenantId;

/// Minimum time between snapshots that a large journal requests.
const AFTER_LARGE_JOURNAL: Duration = Duration::from_secs(10);

/// Writer of snapshots of the served catalog.
pub struct SnapshotWriter {
    live: Arc<CatalogCache>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    directory: SnapshotDirectory,
    throttle: Arc<Throttle>,
    journal: Arc<Journal>,
    saved: Mutex<SavedState>,
}

/// State of the newest snapshot.
#[derive(Default)]
struct SavedState {
    change_count: u64,
    as_of: Option<DateTime<Utc>>,
    /// `None` until this process has saved a snapshot.
    previous: Option<Arc<PreviousSnapshot>>,
}

/// Served catalog at one moment.
struct CatalogView {
    as_of: DateTime<Utc>,
    installation: Uuid,
    tenants: Vec<(TenantId, Option<Arc<PublishedTenant>>)>,
}

impl SnapshotWriter {
    /// Creates a writer of the served catalog. A catalog that comes from a snapshot is saved only after it was compared
    /// with the database.
    pub fn new(
        live: Arc<CatalogCache>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        directory: SnapshotDirectory,
        origin: Origin,
    ) -> Self {
        let saved = if origin.0.is_some() {
            SavedState {
                change_count: live.change_count(),
                as_of: live.synced_at(),
                previous: None,
            }
        } else {
            SavedState::default()
        };
        let throttle = Arc::<Throttle>::default();
        let journal = Journal::new(
            live.clone(),
            keyring.clone(),
            directory.clone(),
            throttle.clone(),
            origin.0,
        );
        Self {
            live,
            keyring,
            clock,
            directory,
            throttle,
            journal: Arc::new(journal),
            saved: Mutex::new(saved),
        }
    }

    /// Saves changes periodically until the task is dropped.
    pub async fn run(&self, every: Duration) {
        if let Err(error) = self.directory.remove_unfinished() {
            tracing::debug!(%error, "removing unfinished snapshots failed");
        }
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.journal.wants_snapshot() => {
                    // A failed save is not retried immediately.
                    self.save().await;
                    tokio::time::sleep(AFTER_LARGE_JOURNAL.min(every)).await;
                    continue;
                }
            }
            let has_changed = self.saved.lock().await.change_count != self.live.change_count();
            if has_changed {
                self.save().await;
            }
        }
    }

    /// Maintains the journal of the newest snapshot until the task is dropped.
    pub async fn run_journal(&self) {
        self.journal.run().await;
    }

    /// Saves changes a last time, without throttling, because no checks are running any more.
    pub async fn finish(&self) {
        self.throttle.disable();
        self.save().await;
    }

    /// Saves the served catalog if it is newer than the last snapshot and not stale. A failure is logged and counted.
    async fn save(&self) {
        let mut saved = self.saved.lock().await;
        let now = self.clock.now();
        // Read first, so that concurrent changes are saved the next time.
        let change_count = self.live.change_count();
        let synced_at = self.live.synced_at();
        let is_newer =
            synced_at > saved.as_of || (synced_at == saved.as_of && change_count != saved.change_count);
        let is_worth_it = is_newer && self.live.stale_for(now).is_none();
        if !is_worth_it {
            return;
        }
        let (live, journal) = (self.live.clone(), self.journal.clone());
        let job = SaveJob {
            keyring: self.keyring.clone(),
            throttle: self.throttle.clone(),
            previous: saved.previous.clone(),
        };
        let directory = self.directory.clone();
        let save = tokio::task::spawn_blocking(move || {
            let Some((position, view)) = journal.rotate(|| CatalogView::now(&live))? else {
                return Ok(None);
            };
            let (as_of, tenants) = (view.as_of, view.tenants.clone());
            let (file, index) = directory.save(now, |out| job.write(out, view, position))?;
            let bytes = file.metadata()?.len();
            count_saved(as_of, bytes);
            journal.continue_snapshot(tenants, bytes);
            directory.remove_old_segments(&job.keyring)?;
            Ok(Some((as_of, PreviousSnapshot { file, index })))
        });
        match save.await.map_err(std::io::Error::other) {
            Ok(Ok(None)) => {}
            Ok(Ok(Some((as_of, previous)))) => {
                *saved = SavedState {
                    change_count,
                    as_of: Some(as_of),
                    previous: Some(previous.into()),
                };
            }
            Ok(Err(error)) => count_failure(&error),
            Err(error) => count_failure(&error.into()),
        }
    }
}

impl CatalogView {
    /// Returns `None` before the first comparison with the database.
    fn now(live: &CatalogCache) -> Option<Self> {
        Some(Self {
            // Read before the tenants, which may then be newer, but never older.
            as_of: live.synced_at()?,
            installation: live.installation()?,
            tenants: live.every_tenant(),
        })
    }
}

/// Inputs of a save.
struct SaveJob {
    keyring: Arc<Keyring>,
    throttle: Arc<Throttle>,
    previous: Option<Arc<PreviousSnapshot>>,
}

impl SaveJob {
    /// Writes tenant by tenant, so that only one tenant's packed bytes are in memory in addition to the served catalog.
    fn write(
        &self,
        out: impl Write,
        view: CatalogView,
        journal: ChainPosition,
    ) -> Result<BlockIndex, SnapshotError> {
        let header = Header {
            as_of: view.as_of,
            installation: view.installation,
            block_count: view.tenants.len() as u64,
            journal,
        };
        let mut packer = Packer::new(self.throttle.begin());
        let mut frames = FrameWriter::begin(out, &self.keyring, &header)?;
        let mut blocks = HashMap::with_capacity(view.tenants.len());
        for (id, published) in view.tenants {
            let block = match self.copy(id, published.as_ref()) {
                Some(copied) => copied,
                None => packer.pack(id, published.as_deref())?,
            };
            let location = frames.add(id, &block)?;
            blocks.extend(published.map(|published| (id, IndexedBlock::new(&published, location))));
            packer.checkpoint();
        }
        let header_tag = frames.finish()?;
        Ok(BlockIndex { header_tag, blocks })
    }

    fn copy(&self, id: TenantId, published: Option<&Arc<PublishedTenant>>) -> Option<PackedBlock> {
        self.previous.as_ref()?.find(id, published?, &self.keyring)
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn count_saved(as_of: DateTime<Utc>, bytes: u64) {
    tracing::debug!(bytes, "a snapshot was saved");
    metrics::counter!("slipway_snapshot_saved_total").increment(1);
    metrics::gauge!("slipway_snapshot_bytes").set(bytes as f64);
    report_age(as_of);
}

fn count_failure(error: &SnapshotError) {
    tracing::error!(%error, "saving a snapshot failed; a start without the database will use the previous one");
    metrics::counter!("slipway_snapshot_failures_total").increment(1);
}
