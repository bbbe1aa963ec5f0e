//! Journal of a snapshot: the changes of the served catalog since, appended within a second.
//!
//! A journal is a chain of segment files. Integers are little-endian. Tags are computed as in the snapshot:
//!
//! ```text
//! header  "SLIPWJNL" · format u32 · key id [12] · number u64 · tail before [32] · nonce [16]
//!         · tag over "journal" and all of this
//! record  kind u8 · tenant or as of i64 · bytes stored u64 · bytes unpacked u64
//!         · tag over "head", the tag before and all of this
//!         · the bytes · tag over "record", the tag before, all before the first tag, and the bytes
//! ```
//!
//! Every tag covers the previous one, across segments: the header of a segment contains the last accepted tag of the
//! previous segment. The snapshot's header contains the number of the segment that continues it, and the tag that this
//! segment must contain. Therefore no record can be omitted, moved, or taken from another journal.
//!
//! Only the end of the chain can be missing, because the process may have been killed while writing. A complete record
//! that fails verification is damage. The records before it are used, and the node counts as stale, because a newer
//! state was lost.
//!
//! Each record is written with one `write`, which survives `kill -9`. The file is synced to disk after each batch of
//! changes, which survives a power failure.

mod content;
mod frames;
mod log;
mod replay;
mod task;
#[cfg(test)]
mod tests;

pub(super) use self::log::Journal;
pub(super) use self::replay::replay;
