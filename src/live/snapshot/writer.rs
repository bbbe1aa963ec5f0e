//! The task that saves a snapshot now and then.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::content::Packer;
use super::directory::{SnapshotDirectory, tell_age};
use super::frames::{FrameWriter, Header, Packed};
use super::journal::{ChainPosition, Journal};
use super::pace::Pace;
use super::previous::{BlockOf, Contents, Previous};
use super::{Origin, SnapshotError};
use crate::catalog::ids::TenantId;
use crate::clock::Clock;
use crate::live::{Live, PublishedTenant};
use crate::secrets::Keyring;

/// Time between snapshots that a large journal asks for.
const AFTER_LARGE_JOURNAL: Duration = Duration::from_secs(10);

/// Saves what a node serves.
pub struct SnapshotWriter {
    live: Arc<Live>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    directory: SnapshotDirectory,
    pace: Arc<Pace>,
    journal: Arc<Journal>,
    saved: Mutex<Saved>,
}

/// What the newest snapshot has.
#[derive(Default)]
struct Saved {
    change_count: u64,
    as_of: Option<DateTime<Utc>>,
    /// `None` before this process has saved any.
    previous: Option<Arc<Previous>>,
}

/// What is served, at one moment.
struct Served {
    as_of: DateTime<Utc>,
    installation: Uuid,
    tenants: Vec<(TenantId, Option<Arc<PublishedTenant>>)>,
}

impl SnapshotWriter {
    /// A writer for what is served now; when that is from a snapshot there is nothing to save until it is followed.
    pub fn new(
        live: Arc<Live>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        directory: SnapshotDirectory,
        origin: Origin,
    ) -> Self {
        let saved = if origin.0.is_some() {
            Saved {
                change_count: live.change_count(),
                as_of: live.compared_at(),
                previous: None,
            }
        } else {
            Saved::default()
        };
        let pace = Arc::<Pace>::default();
        let journal = Journal::new(
            (live.clone(), keyring.clone()),
            directory.clone(),
            pace.clone(),
            origin.0,
        );
        Self {
            live,
            keyring,
            clock,
            directory,
            pace,
            journal: Arc::new(journal),
            saved: Mutex::new(saved),
        }
    }

    /// Saves what has changed, again and again until the task is dropped.
    pub async fn run(&self, every: Duration) {
        if let Err(error) = self.directory.remove_unfinished() {
            tracing::debug!(%error, "there is nothing to clear away");
        }
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.journal.wants_snapshot() => {
                    // One that fails is not tried again at once.
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

    /// Keeps the journal behind the newest snapshot until the task is dropped.
    pub async fn run_journal(&self) {
        self.journal.run().await;
    }

    /// Saves what has changed once more, without regard for checks: there are none any more.
    pub async fn finish(&self) {
        self.pace.hurry();
        self.save().await;
    }

    /// Saves what is served if it is newer than the last snapshot and not stale. A failure is logged and counted.
    async fn save(&self) {
        let mut saved = self.saved.lock().await;
        let now = self.clock.now();
        // Read first: what changes meanwhile is saved again next time.
        let change_count = self.live.change_count();
        let compared_at = self.live.compared_at();
        let is_newer =
            compared_at > saved.as_of || (compared_at == saved.as_of && change_count != saved.change_count);
        let is_worth_it = is_newer && self.live.stale_for(now).is_none();
        if !is_worth_it {
            return;
        }
        let (live, journal) = (self.live.clone(), self.journal.clone());
        let saving = Saving {
            keyring: self.keyring.clone(),
            pace: self.pace.clone(),
            previous: saved.previous.clone(),
        };
        let directory = self.directory.clone();
        let save = tokio::task::spawn_blocking(move || {
            let Some((position, served)) = journal.rotate(|| Served::now(&live))? else {
                return Ok(None);
            };
            let (as_of, tenants) = (served.as_of, served.tenants.clone());
            let (file, contents) = directory.save(now, |out| saving.write(out, served, position))?;
            let bytes = file.metadata()?.len();
            count_saved(as_of, bytes);
            journal.continue_snapshot(tenants, bytes);
            directory.remove_old_segments(&saving.keyring)?;
            Ok(Some((as_of, Previous { file, contents })))
        });
        match save.await.map_err(std::io::Error::other) {
            Ok(Ok(None)) => {}
            Ok(Ok(Some((as_of, previous)))) => {
                *saved = Saved {
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

impl Served {
    /// `None` before the catalog was compared with the database.
    fn now(live: &Live) -> Option<Self> {
        Some(Self {
            // Read before the tenants, which may be newer then, never older.
            as_of: live.compared_at()?,
            installation: live.installation()?,
            tenants: live.every_tenant(),
        })
    }
}

/// What a save works with.
struct Saving {
    keyring: Arc<Keyring>,
    pace: Arc<Pace>,
    previous: Option<Arc<Previous>>,
}

impl Saving {
    /// Writes tenant by tenant: beside what is served only one tenant's packed bytes are in memory.
    fn write(
        &self,
        out: impl Write,
        served: Served,
        journal: ChainPosition,
    ) -> Result<Contents, SnapshotError> {
        let header = Header {
            as_of: served.as_of,
            installation: served.installation,
            block_count: served.tenants.len() as u64,
            journal,
        };
        let mut packer = Packer::new(self.pace.begin());
        let mut frames = FrameWriter::begin(out, &self.keyring, &header)?;
        let mut blocks = HashMap::with_capacity(served.tenants.len());
        for (id, published) in served.tenants {
            let block = match self.copy(id, published.as_ref()) {
                Some(copied) => copied,
                None => packer.pack(id, published.as_deref())?,
            };
            let place = frames.add(id, &block)?;
            blocks.extend(published.map(|published| (id, BlockOf::new(&published, place))));
            packer.breathe();
        }
        let header_tag = frames.finish()?;
        Ok(Contents { header_tag, blocks })
    }

    fn copy(&self, id: TenantId, published: Option<&Arc<PublishedTenant>>) -> Option<Packed> {
        self.previous.as_ref()?.find(id, published?, &self.keyring)
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn count_saved(as_of: DateTime<Utc>, bytes: u64) {
    tracing::debug!(bytes, "a snapshot was saved");
    metrics::counter!("slipway_snapshot_saved_total").increment(1);
    metrics::gauge!("slipway_snapshot_bytes").set(bytes as f64);
    tell_age(as_of);
}

fn count_failure(error: &SnapshotError) {
    tracing::error!(%error, "no snapshot could be saved; a start without the database will find the one before");
    metrics::counter!("slipway_snapshot_failures_total").increment(1);
}
