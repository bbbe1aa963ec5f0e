//! The snapshot file: the catalog in memory as a node that starts without its database can serve it.
//!
//! Every integer is little-endian, every tag an HMAC-SHA256 under a key that HKDF derives from the installation's:
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
//! The header's tag stands in every other tag, so that nothing of another snapshot fits. Every tag is verified before
//! anything is unpacked. The bytes of a block are not self-describing: whatever changes them, or the meaning of what
//! is prepared in them, needs another `FORMAT`, which a test reminds of.

mod content;
mod directory;
mod frames;
mod journal;
mod pace;
mod previous;
#[cfg(test)]
mod tests;
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

use self::frames::{Block, Frames};
use self::journal::ChainPosition;
use super::PublishedTenant;
use crate::catalog::ids::TenantId;
use crate::secrets::Keyring;

/// Raised with every change of what a block holds.
const FORMAT: u32 = 6;
/// The most bytes that one tenant's catalog may unpack to.
const MAX_UNPACKED_BYTES: u64 = 4 << 30;

/// Why a snapshot is not written or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("it is no snapshot")]
    NotASnapshot,
    #[error("it has format {0}; this version of Slipway reads format {FORMAT} alone")]
    OtherFormat(u32),
    #[error("it was made with the secret key {0}, which is not among those given")]
    KeyMissing(String),
    #[error("{0} is damaged, cut off, or from another snapshot")]
    Damaged(String),
    #[error("the catalog of tenant {tenant} cannot be unpacked: {reason}")]
    Contents { tenant: TenantId, reason: String },
    #[error("the catalog of tenant {0} is too large for a snapshot")]
    TooLarge(TenantId),
    #[error("it has grown too large and waits for a snapshot to take its place")]
    JournalFull,
    #[error("reading it panicked: {0}")]
    Panicked(String),
}

/// A catalog out of a snapshot.
pub struct Snapshot {
    /// When it was last known to equal the database.
    pub as_of: DateTime<Utc>,
    /// Whose catalog it is.
    pub installation: Uuid,
    /// `None` for a tenant whose rows could not be read then.
    pub(super) tenants: BTreeMap<TenantId, Option<PublishedTenant>>,
    /// Where the journal behind it goes on.
    journal: ChainPosition,
    /// Something newer was written, and is damaged.
    pub(super) is_outdated: bool,
}

/// Where the catalog in memory came from when the node started.
#[derive(Debug, Clone, Copy)]
pub struct Origin(Option<ChainPosition>);

impl Origin {
    /// From the database, or from nowhere yet.
    pub const DATABASE: Self = Self(None);
}

impl Snapshot {
    /// The origin of a node that serves this.
    pub const fn origin(&self) -> Origin {
        Origin(Some(self.journal))
    }
}

/// Reads a snapshot; accepts only what [`SnapshotWriter`] wrote with one of these keys, to the last byte.
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
