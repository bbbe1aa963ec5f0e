//! Replay of journal segments on a snapshot.

use std::fs;

use super::super::directory::{SegmentFile, SnapshotDirectory};
use super::super::{Snapshot, SnapshotError};
use super::content;
use super::frames::{Record, Segment, SegmentEnd, read_segment};
use crate::live::snapshot::frames::{Block, ChainPosition, Frames};
use crate::secrets::Keyring;

/// Position at which a journal continues, and the presence of a snapshot before it.
pub(super) struct JournalEnd {
    pub(super) position: ChainPosition,
    pub(super) has_snapshot: bool,
}

/// Result of following a chain of segments.
struct ChainEnd {
    position: ChainPosition,
    /// Further records existed but are lost.
    is_damaged: bool,
}

/// Updates a snapshot with the changes in its journal.
pub(in crate::live::snapshot) fn replay(
    directory: &SnapshotDirectory,
    snapshot: &mut Snapshot,
    keyring: &Keyring,
) {
    let start = snapshot.journal;
    let end = follow(directory, start, keyring, |record| {
        apply(record, snapshot, keyring)
    });
    snapshot.journal = end.position;
    snapshot.is_outdated = end.is_damaged;
}

/// Returns the position at which the journal of the newest valid snapshot continues.
pub(super) fn end_of_journal(directory: &SnapshotDirectory, keyring: &Keyring) -> JournalEnd {
    let generations = directory.generations().unwrap_or_default();
    let newest = directory.newest_accepted(&generations, |path| {
        Ok(Frames::verify(&fs::read(path)?, keyring)?.journal)
    });
    JournalEnd {
        has_snapshot: newest.is_some(),
        position: end_of(directory, newest.unwrap_or(ChainPosition::START), keyring),
    }
}

/// Returns the end of a chain without reading the content of its records.
fn end_of(directory: &SnapshotDirectory, start: ChainPosition, keyring: &Keyring) -> ChainPosition {
    follow(directory, start, keyring, |_| Ok(())).position
}

/// Follows the segments while each continues the previous one. Returns a position after all existing segments, so that
/// none is overwritten.
fn follow(
    directory: &SnapshotDirectory,
    mut position: ChainPosition,
    keyring: &Keyring,
    mut take: impl FnMut(Record<Block<'_>>) -> Result<(), SnapshotError>,
) -> ChainEnd {
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
            // The segment continues the accepted chain, and the node has compared itself with the database since.
            Ok(Step::TakenWithComparison(end, next)) => {
                position = next;
                is_damaged = end == SegmentEnd::Damaged;
            }
            // The header is incomplete, because the segment was just being started.
            Ok(Step::Empty) => {}
            Ok(Step::Foreign) => {
                tracing::error!(file = %file.path.display(), "a journal segment does not continue the previous one");
                is_damaged = true;
            }
            Err(error) => {
                tracing::error!(file = %file.path.display(), %error, "a journal segment was rejected");
                is_damaged = true;
            }
        }
        position.number = position.number.max(file.number + 1);
    }
    if is_damaged {
        metrics::counter!("slipway_snapshot_refused_total").increment(1);
    }
    ChainEnd { position, is_damaged }
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
        tracing::error!(file = %file.path.display(), "a journal segment is damaged; its later records are lost");
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
        Record::Unreadable(tenant) => {
            snapshot.tenants.insert(tenant, None);
        }
        Record::Removed(tenant) => {
            snapshot.tenants.remove(&tenant);
        }
        Record::AsOf(as_of) => snapshot.as_of = snapshot.as_of.max(as_of),
    }
    Ok(())
}
