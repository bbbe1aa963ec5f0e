//! From the segments of a journal to what was served last.

use std::fs;

use super::super::directory::{SegmentFile, SnapshotDirectory};
use super::super::{Snapshot, SnapshotError};
use super::content;
use super::frames::{ChainPosition, Record, Segment, SegmentEnd, read_segment};
use crate::live::snapshot::frames::Block;
use crate::secrets::Keyring;

/// How far a chain of segments can be followed.
struct Followed {
    position: ChainPosition,
    /// There was more, which is lost.
    is_damaged: bool,
}

/// Brings a snapshot up to what its journal has last.
pub(in crate::live::snapshot) fn replay(
    directory: &SnapshotDirectory,
    snapshot: &mut Snapshot,
    keyring: &Keyring,
) {
    let start = snapshot.journal;
    let followed = follow(directory, start, keyring, |record| {
        apply(record, snapshot, keyring)
    });
    snapshot.journal = followed.position;
    snapshot.is_outdated = followed.is_damaged;
}

/// The end of a chain, without a look at what its records hold.
pub(in crate::live::snapshot) fn end_of(
    directory: &SnapshotDirectory,
    start: ChainPosition,
    keyring: &Keyring,
) -> ChainPosition {
    follow(directory, start, keyring, |_| Ok(())).position
}

/// Goes from segment to segment for as long as each continues the one before. Returns a position behind all segments
/// that there are, so that none is overwritten.
fn follow(
    directory: &SnapshotDirectory,
    mut position: ChainPosition,
    keyring: &Keyring,
    mut take: impl FnMut(Record<Block<'_>>) -> Result<(), SnapshotError>,
) -> Followed {
    let mut is_damaged = false;
    for file in directory.segments().unwrap_or_default() {
        if file.number < position.number {
            continue;
        }
        match follow_segment(&file, position, keyring, &mut take) {
            Ok(Step::Taken(end, next)) => {
                position = next;
                is_damaged |= end == SegmentEnd::Damaged;
            }
            // It continues what was accepted before, and the node has compared itself with the database since.
            Ok(Step::TakenWithComparison(end, next)) => {
                position = next;
                is_damaged = end == SegmentEnd::Damaged;
            }
            // It was about to be begun, or does not continue what was accepted.
            Ok(Step::Empty) => {}
            Ok(Step::Foreign) => {
                tracing::error!(file = %file.path.display(), "a journal does not continue the one before it");
                is_damaged = true;
            }
            Err(error) => {
                tracing::error!(file = %file.path.display(), %error, "a journal is not accepted");
                is_damaged = true;
            }
        }
        position.number = position.number.max(file.number + 1);
    }
    if is_damaged {
        metrics::counter!("slipway_snapshot_refused_total").increment(1);
    }
    Followed { position, is_damaged }
}

enum Step {
    Taken(SegmentEnd, ChainPosition),
    TakenWithComparison(SegmentEnd, ChainPosition),
    Empty,
    Foreign,
}

fn follow_segment(
    file: &SegmentFile,
    position: ChainPosition,
    keyring: &Keyring,
    take: &mut impl FnMut(Record<Block<'_>>) -> Result<(), SnapshotError>,
) -> Result<Step, SnapshotError> {
    let bytes = fs::read(&file.path)?;
    let Some(segment) = read_segment(&bytes, keyring)? else {
        return Ok(Step::Empty);
    };
    let Segment {
        number,
        tail_before,
        records,
        tail,
        end,
    } = segment;
    if number != file.number || tail_before != position.tail {
        return Ok(Step::Foreign);
    }
    if end == SegmentEnd::Damaged {
        tracing::error!(file = %file.path.display(), "a journal is damaged; what is behind is lost");
    }
    let has_comparison = records.iter().any(|record| matches!(record, Record::AsOf(_)));
    for record in records {
        take(record)?;
    }
    let next = ChainPosition {
        number: number + 1,
        tail,
    };
    Ok(if has_comparison {
        Step::TakenWithComparison(end, next)
    } else {
        Step::Taken(end, next)
    })
}

fn apply(record: Record<Block<'_>>, snapshot: &mut Snapshot, keyring: &Keyring) -> Result<(), SnapshotError> {
    match record {
        Record::Tenant(tenant, block) => {
            let before = snapshot.tenants.get(&tenant).and_then(Option::as_ref);
            let published = content::apply(&block, before, keyring)?;
            snapshot.tenants.insert(tenant, Some(published));
        }
        Record::Unread(tenant) => {
            snapshot.tenants.insert(tenant, None);
        }
        Record::Removed(tenant) => {
            snapshot.tenants.remove(&tenant);
        }
        Record::AsOf(as_of) => snapshot.as_of = snapshot.as_of.max(as_of),
    }
    Ok(())
}
