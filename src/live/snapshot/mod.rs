//! Snapshot file: the cached catalog, which a node can serve if it starts without its database.
//!
//! Every integer is little-endian. Every tag is an HMAC-SHA256 under a key that HKDF derives from the installation's:
//!
//! ```text
//! header  "SLIPWAY1" · format u32 · key id [12] · as of i64 (µs since 1970) · installation [16] · nonce [16]
//!         · number of blocks u64 · the journal that continues it: number u64, tag before [32]
//!         · tag over "header" and all of this
//! block   tenant i64 · bytes stored u64 · bytes unpacked u64 · the bytes (zstd over postcard)
//!         · tag over "block", the header's tag, the block's position u64 and all of this
//! end     "SLIPWEND" · tag over "end", the header's tag and the tags of all blocks
//! ```
//!
//! All other tags cover the header's tag, so that parts of another snapshot do not verify. Every tag is verified before
//! anything is unpacked. The bytes of a block are not self-describing: a change of their layout or meaning requires
//! another `FORMAT`. A test fails if it is forgotten.

mod content;
mod directory;
mod frames;
mod journal;
mod load;
mod previous;
#[cfg(test)]
mod tests;
mod throttle;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use directory::SnapshotDirectory;
pub use writer::SnapshotWriter;

use self::frames::{Block, ChainPosition, Frames};
use super::PublishedTenant;
use crate::secrets::Keyring;
use slipway_domain::catalog::ids::TenantId;

/// Incremented with every change of the content of a block.
const FORMAT: u32 = 9;
/// Maximum size of one tenant's catalog after unpacking, in bytes.
const MAX_UNPACKED_BYTES: u64 = 4 << 30;

/// Error of writing or reading a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a snapshot")]
    NotASnapshot,
    #[error("it has format {0}; this version of Slipway reads only format {FORMAT}")]
    OtherFormat(u32),
    #[error("it was made with the secret key {0}, which is not configured")]
    KeyMissing(String),
    #[error("{0} is damaged, truncated, or from another snapshot")]
    Damaged(String),
    #[error("the catalog of tenant {tenant} cannot be unpacked: {reason}")]
    Contents { tenant: TenantId, reason: String },
    #[error("the catalog of tenant {0} is too large for a snapshot")]
    TooLarge(TenantId),
    #[error("it is too large and must first be replaced by a snapshot")]
    JournalFull,
    #[error("reading it panicked: {0}")]
    Panicked(String),
}

/// Catalog read from a snapshot.
pub struct Snapshot {
    /// Time at which the catalog was last known to equal the database.
    pub as_of: DateTime<Utc>,
    /// Installation that the catalog belongs to.
    pub installation: Uuid,
    /// Catalog of each tenant; `None` if its rows could not be read at that time.
    pub(super) tenants: BTreeMap<TenantId, Option<PublishedTenant>>,
    /// Position at which the snapshot's journal continues.
    journal: ChainPosition,
    /// A newer state was written but is damaged.
    pub(super) is_outdated: bool,
}

/// Source of the cached catalog at the start of the node.
#[derive(Debug, Clone, Copy)]
pub struct Origin(Option<ChainPosition>);

impl Origin {
    /// The database, or no source yet.
    pub const DATABASE: Self = Self(None);
}

impl Snapshot {
    /// Returns the origin of a node that serves this snapshot.
    pub const fn origin(&self) -> Origin {
        Origin(Some(self.journal))
    }
}

/// Reads a snapshot. Accepts only the exact bytes that [`SnapshotWriter`] wrote with one of these keys.
pub fn read(bytes: &[u8], keyring: &Keyring) -> Result<Snapshot, SnapshotError> {
    let frames = Frames::verify(bytes, keyring)?;
    Ok(Snapshot {
        as_of: frames.as_of,
        installation: frames.installation,
        tenants: unpack_all(&frames.blocks, keyring)?.into_iter().collect(),
        journal: frames.journal,
        is_outdated: false,
    })
}

/// Unpacks the blocks on all cores.
fn unpack_all(
    blocks: &[Block<'_>],
    keyring: &Keyring,
) -> Result<Vec<(TenantId, Option<PublishedTenant>)>, SnapshotError> {
    let next = AtomicUsize::new(0);
    let unpacked = Mutex::new(Vec::with_capacity(blocks.len()));
    let work = || -> Result<(), SnapshotError> {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tenant = content::unpack(block, keyring)?;
            let mut unpacked = unpacked.lock().expect("no holder of this lock panics");
            unpacked.push((block.tenant, tenant));
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(blocks.len()))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(unpacked.into_inner().expect("no holder of this lock panics"))
}
