//! The task that saves a snapshot now and then.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::directory::{SnapshotDirectory, tell_age};
use super::frames::{FrameWriter, Header};
use super::{SnapshotError, content};
use crate::catalog::ids::TenantId;
use crate::clock::Clock;
use crate::live::{Live, PublishedTenant};
use crate::secrets::Keyring;

/// Saves what a node serves.
pub struct SnapshotWriter {
    live: Arc<Live>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    directory: SnapshotDirectory,
    saved: Mutex<Saved>,
}

/// What the newest snapshot has.
#[derive(Debug, Clone, Copy, Default)]
struct Saved {
    change_count: u64,
    as_of: Option<DateTime<Utc>>,
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
        is_from_snapshot: bool,
    ) -> Self {
        let saved = if is_from_snapshot {
            Saved {
                change_count: live.change_count(),
                as_of: live.compared_at(),
            }
        } else {
            Saved::default()
        };
        Self {
            live,
            keyring,
            clock,
            directory,
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
            ticks.tick().await;
            let has_changed = self.saved.lock().await.change_count != self.live.change_count();
            if has_changed {
                self.save().await;
            }
        }
    }

    /// Saves what is served if it is newer than the last snapshot and not stale. A failure is logged and counted.
    pub async fn save(&self) {
        let mut saved = self.saved.lock().await;
        let now = self.clock.now();
        let is_worth_it = self.live.compared_at() > saved.as_of && self.live.stale_for(now).is_none();
        // Read first: what changes meanwhile is saved again next time.
        let change_count = self.live.change_count();
        let Some(served) = Served::now(&self.live).filter(|_| is_worth_it) else {
            return;
        };
        let as_of = served.as_of;
        let (keyring, directory) = (self.keyring.clone(), self.directory.clone());
        let save =
            tokio::task::spawn_blocking(move || directory.save(now, |out| write(out, &keyring, served)));
        match save.await.map_err(std::io::Error::other) {
            Ok(Ok(bytes)) => {
                *saved = Saved {
                    change_count,
                    as_of: Some(as_of),
                };
                count_saved(as_of, bytes);
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

/// Writes tenant by tenant: beside what is served only one tenant's packed bytes are in memory.
fn write(out: impl std::io::Write, keyring: &Keyring, served: Served) -> Result<(), SnapshotError> {
    let header = Header {
        as_of: served.as_of,
        installation: served.installation,
        block_count: served.tenants.len() as u64,
    };
    let mut frames = FrameWriter::begin(out, keyring, &header)?;
    for (id, published) in served.tenants {
        let (bytes, unpacked) = content::pack(id, published.as_deref())?;
        frames.add(id, &bytes, unpacked)?;
    }
    frames.finish()
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
