//! The journal beside the snapshot: what the node has served since, appended within a second of each change.
//!
//! A journal is a chain of segment files. Integers are little-endian, tags as in the snapshot:
//!
//! ```text
//! header  "SLIPWJNL" · format u32 · key id [12] · number u64 · tail before [32] · nonce [16]
//!         · tag over "journal" and all of this
//! record  kind u8 · tenant or as of i64 · bytes stored u64 · bytes unpacked u64 · the bytes
//!         · tag over "record", the tag before and all of this
//! ```
//!
//! Every tag covers the one before it, across segments: the header of a segment names the last accepted tag of the
//! segment before. The snapshot's header names the segment that continues it and the tag that this one must name. So
//! no record can be left out, moved, or taken from another journal. Only the end of the chain can be missing: the
//! process may have been killed while it wrote. A record that is there in full and does not verify is damage: what is
//! before it is used, and the node counts as stale, since something newer was lost.
//!
//! Records are written with one `write`, which survives `kill -9`, and synchronised with the disk after each batch of
//! changes, which survives a power cut.

mod content;
mod frames;
mod log;
mod replay;
mod task;
#[cfg(test)]
mod tests;

pub(super) use self::frames::ChainPosition;
pub(super) use self::log::Journal;
pub(super) use self::replay::{end_of, replay};
