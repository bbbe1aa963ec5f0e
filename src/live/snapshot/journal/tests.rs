//! Tests of the chain of a journal's records: which records are accepted, and which damage is detected.

use std::fs;
use std::path::PathBuf;

use chrono::DateTime;
use tempfile::TempDir;
use uuid::Uuid;

use super::frames::{Record, SegmentWriter};
use super::replay;
use crate::live::snapshot::frames::ChainPosition;
use crate::live::snapshot::{Snapshot, SnapshotDirectory};
use crate::secrets::{Keyring, TAG_BYTES};
use slipway_domain::catalog::ids::TenantId;

const START: ChainPosition = ChainPosition {
    number: 7,
    tail: [9; TAG_BYTES],
};

struct Disk {
    directory: SnapshotDirectory,
    keyring: Keyring,
    files: TempDir,
}

impl Disk {
    fn new() -> Self {
        let files = TempDir::new().unwrap();
        Self {
            directory: SnapshotDirectory::new(files.path().to_owned()),
            keyring: Keyring::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap(),
            files,
        }
    }

    /// Writes a segment that records these tenants as unreadable, followed by a comparison at this time.
    fn write(&self, position: ChainPosition, tenants: &[i64], as_of: i64) -> ChainPosition {
        let file = self.directory.create_segment(position.number).unwrap();
        let mut segment = SegmentWriter::begin(file, &self.keyring, position).unwrap();
        for tenant in tenants {
            let tenant = TenantId::parse(*tenant).unwrap();
            segment
                .append(&self.keyring, &Record::Unreadable(tenant))
                .unwrap();
        }
        let as_of = DateTime::from_timestamp_micros(as_of).unwrap();
        segment.append(&self.keyring, &Record::AsOf(as_of)).unwrap();
        segment.next()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.files.path().join(format!("catalog-{number}.journal"))
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(number)).unwrap();
        change(&mut bytes);
        fs::write(self.path(number), bytes).unwrap();
    }

    fn replay(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            as_of: DateTime::UNIX_EPOCH,
            installation: Uuid::nil(),
            tenants: [].into(),
            journal: START,
            is_outdated: false,
        };
        replay(&self.directory, &mut snapshot, &self.keyring);
        snapshot
    }

    /// Returns the tenants and the time found, and whether a newer state is known to be lost.
    fn found(&self) -> (Vec<i64>, i64, bool) {
        let snapshot = self.replay();
        let tenants = snapshot.tenants.keys().map(|tenant| tenant.get());
        (
            tenants.collect(),
            snapshot.as_of.timestamp_micros(),
            snapshot.is_outdated,
        )
    }
}

#[test]
fn segments_that_continue_one_another_are_followed_to_the_end() {
    let disk = Disk::new();
    let second = disk.write(START, &[1, 2], 10);
    disk.write(second, &[3], 20);
    assert_eq!(disk.found(), (vec![1, 2, 3], 20, false));
    assert_eq!(disk.replay().journal.number, 9);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(disk.path(7)).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_torn_end_is_cut_off_wherever_it_is() {
    let disk = Disk::new();
    disk.write(START, &[1, 2], 10);
    let whole = fs::read(disk.path(7)).unwrap();
    for length in 0..whole.len() {
        disk.change(7, |bytes| bytes.truncate(length));
        let (tenants, as_of, is_outdated) = disk.found();
        assert!([0, 1, 2].contains(&tenants.len()) && as_of == 0, "{length}");
        assert!(!is_outdated, "{length}");
        fs::write(disk.path(7), &whole).unwrap();
    }
}

#[test]
fn the_next_process_goes_on_behind_a_torn_end() {
    let disk = Disk::new();
    disk.write(START, &[1, 2], 10);
    disk.change(7, |bytes| bytes.truncate(bytes.len() - 1));
    let position = disk.replay().journal;
    assert_eq!(position.number, 8);
    disk.write(position, &[3], 20);
    assert_eq!(disk.found(), (vec![1, 2, 3], 20, false));
}

#[test]
fn damage_anywhere_is_noticed_and_what_is_before_it_is_used() {
    let disk = Disk::new();
    let second = disk.write(START, &[1, 2], 10);
    disk.write(second, &[3], 20);
    let whole = fs::read(disk.path(7)).unwrap();
    for index in 0..whole.len() {
        disk.change(7, |bytes| bytes[index] ^= 1);
        let (tenants, as_of, is_outdated) = disk.found();
        assert!(is_outdated, "{index}");
        assert!(tenants.len() <= 2 && as_of == 0, "{index}: {tenants:?} {as_of}");
        fs::write(disk.path(7), &whole).unwrap();
    }
}

#[test]
fn damage_of_the_last_segment_is_no_torn_end() {
    let disk = Disk::new();
    let second = disk.write(START, &[1, 2], 10);
    disk.write(second, &[3], 20);
    let whole = fs::read(disk.path(8)).unwrap();
    for index in 0..whole.len() {
        for bit in 0..8 {
            disk.change(8, |bytes| bytes[index] ^= 1 << bit);
            let (tenants, as_of, is_outdated) = disk.found();
            assert!(is_outdated, "{index}");
            assert!(tenants.len() <= 3 && as_of == 10, "{index}: {tenants:?} {as_of}");
            fs::write(disk.path(8), &whole).unwrap();
        }
    }
}

#[test]
fn what_is_missing_from_the_middle_is_noticed() {
    let disk = Disk::new();
    let second = disk.write(START, &[1, 2], 10);
    let third = disk.write(second, &[3], 20);
    disk.write(third, &[4], 30);
    let first = fs::read(disk.path(7)).unwrap();
    disk.change(7, |bytes| bytes.truncate(bytes.len() - 1));
    let (tenants, as_of, is_outdated) = disk.found();
    assert_eq!((tenants, as_of, is_outdated), (vec![1, 2], 0, true));
    fs::write(disk.path(7), first).unwrap();
    fs::remove_file(disk.path(8)).unwrap();
    assert_eq!(disk.found(), (vec![1, 2], 10, true));
}

#[test]
fn a_segment_of_another_chain_or_number_is_not_accepted() {
    let disk = Disk::new();
    disk.write(START, &[1], 10);
    let other = ChainPosition {
        number: 8,
        tail: [1; TAG_BYTES],
    };
    disk.write(other, &[2], 20);
    assert_eq!(disk.found(), (vec![1], 10, true));
    fs::copy(disk.path(7), disk.path(8)).unwrap();
    assert_eq!(disk.found(), (vec![1], 10, true));
    // The node's next snapshot continues after all of them.
    assert_eq!(disk.replay().journal.number, 9);
    assert!(disk.directory.create_segment(8).is_err(), "none is overwritten");
}
