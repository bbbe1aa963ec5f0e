//! The directory of a node's snapshots: a few generations, each written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::frames::{Frames, read_journal_number};
use super::journal::{self, ChainPosition};
use super::{Snapshot, SnapshotError, read};
use crate::secrets::Keyring;
use crate::supervision::panic_message;

/// How many snapshots are kept: were the newest damaged, an older one still starts a node.
const GENERATIONS: usize = 3;
const PREFIX: &str = "catalog-";
const SUFFIX: &str = ".snapshot";
/// How much is brought to the disk at once.
const SYNCHRONISED_BYTES: usize = 4 << 20;
/// Of a file that is being written, or that a killed process left.
const UNFINISHED: &str = ".unfinished";
/// Of a segment of the journal.
const JOURNAL: &str = ".journal";

/// Where a node keeps its snapshots, as `catalog-<microseconds since 1970>.snapshot`.
#[derive(Debug, Clone)]
pub struct SnapshotDirectory(PathBuf);

impl SnapshotDirectory {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The newest snapshot that is acceptable; the log tells why newer ones are not. `None` without one.
    pub fn load_newest(&self, keyring: &Keyring) -> Option<Snapshot> {
        let generations = match self.generations() {
            Ok(generations) => generations,
            Err(error) => {
                tracing::warn!(directory = %self.0.display(), %error, "there are no snapshots");
                return None;
            }
        };
        let mut snapshot = self.newest_accepted(&generations, |path| load(path, keyring))?;
        journal::replay(self, &mut snapshot, keyring);
        tell_age(snapshot.as_of);
        Some(snapshot)
    }

    /// Where the journal behind the newest acceptable snapshot goes on.
    pub(super) fn end_of_journal(&self, keyring: &Keyring) -> JournalEnd {
        let generations = self.generations().unwrap_or_default();
        let newest = self.newest_accepted(&generations, |path| {
            Ok(Frames::verify(&fs::read(path)?, keyring)?.journal)
        });
        JournalEnd {
            has_snapshot: newest.is_some(),
            position: journal::end_of(self, newest.unwrap_or(ChainPosition::START), keyring),
        }
    }

    fn newest_accepted<T>(
        &self,
        generations: &[i64],
        read: impl Fn(&Path) -> Result<T, SnapshotError>,
    ) -> Option<T> {
        generations.iter().rev().find_map(|number| {
            let path = self.path_of(*number);
            read(&path)
                .inspect_err(|error| {
                    tracing::error!(file = %path.display(), %error, "a snapshot is not accepted");
                    metrics::counter!("slipway_snapshot_refused_total").increment(1);
                })
                .ok()
        })
    }

    /// The segments of journals, in the order of their numbers.
    pub(super) fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        let mut numbers: Vec<u64> = self
            .names()?
            .iter()
            .filter_map(|name| name.strip_prefix(PREFIX)?.strip_suffix(JOURNAL)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let file = |number| SegmentFile {
            number,
            path: self.segment_path(number),
        };
        Ok(numbers.into_iter().map(file).collect())
    }

    /// Makes a segment's file for its owner alone; fails if there is one.
    pub(super) fn create_segment(&self, number: u64) -> io::Result<File> {
        self.make()?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.segment_path(number))?;
        self.sync()?;
        Ok(file)
    }

    /// Removes segments that no snapshot here is continued by.
    pub(super) fn remove_old_segments(&self, keyring: &Keyring) -> io::Result<()> {
        let needed = self.generations()?.into_iter().filter_map(|number| {
            let file = File::open(self.path_of(number)).ok()?;
            read_journal_number(&file, keyring).ok()
        });
        let Some(oldest) = needed.min() else {
            return Ok(());
        };
        for segment in self.segments()?.iter().filter(|segment| segment.number < oldest) {
            fs::remove_file(&segment.path)?;
        }
        Ok(())
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{PREFIX}{number}{JOURNAL}"))
    }

    /// Writes a new generation and removes those that are too old. Returns its file, and what `write` does.
    pub(super) fn save<T>(
        &self,
        now: DateTime<Utc>,
        write: impl FnOnce(&mut BufWriter<Steady<'_>>) -> Result<T, SnapshotError>,
    ) -> Result<(File, T), SnapshotError> {
        self.make()?;
        let generations = self.generations()?;
        // The newest by its name too, though the clock may have been set back.
        let newest = generations.last().copied().unwrap_or(0);
        let number = now.timestamp_micros().max(newest.saturating_add(1));
        // Readable for its owner alone, and removed again when anything fails.
        let mut file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(UNFINISHED)
            .tempfile_in(&self.0)?;
        let mut out = BufWriter::with_capacity(1 << 20, Steady::new(file.as_file_mut()));
        let written = write(&mut out)?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        let file = file.persist(self.path_of(number)).map_err(|error| error.error)?;
        self.sync()?;
        for old in generations.iter().rev().skip(GENERATIONS - 1) {
            fs::remove_file(self.path_of(*old))?;
        }
        Ok((file, written))
    }

    /// Removes what a process left that was killed while it wrote.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        for name in self.names()? {
            if name.starts_with(PREFIX) && name.ends_with(UNFINISHED) {
                fs::remove_file(self.0.join(name))?;
            }
        }
        Ok(())
    }

    /// The numbers of all generations, the oldest first.
    fn generations(&self) -> io::Result<Vec<i64>> {
        let mut numbers: Vec<_> = self.names()?.iter().filter_map(|name| number_in(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn path_of(&self, number: i64) -> PathBuf {
        self.0.join(format!("{PREFIX}{number}{SUFFIX}"))
    }

    /// Makes the directory for its owner alone, if it is absent.
    fn make(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// Makes the new name last, where directories can be synchronised.
    fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}

/// Where a journal goes on, and whether there is a snapshot before it.
pub(super) struct JournalEnd {
    pub(super) position: ChainPosition,
    pub(super) has_snapshot: bool,
}

/// A segment of the journal.
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// Brings to the disk bit by bit what is written: all at once it would hold up whoever else waits for that disk.
pub(super) struct Steady<'a> {
    file: &'a mut File,
    unsynchronised: usize,
}

impl<'a> Steady<'a> {
    fn new(file: &'a mut File) -> Self {
        Self {
            file,
            unsynchronised: 0,
        }
    }
}

impl Write for Steady<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynchronised += written;
        if self.unsynchronised >= SYNCHRONISED_BYTES {
            self.file.sync_data()?;
            self.unsynchronised = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn load(path: &Path, keyring: &Keyring) -> Result<Snapshot, SnapshotError> {
    // A panic on one generation must not keep the node from starting with another.
    std::panic::catch_unwind(|| read(&fs::read(path)?, keyring))
        .unwrap_or_else(|panic| Err(SnapshotError::Panicked(panic_message(&*panic))))
}

/// Of the newest snapshot.
#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
pub(super) fn tell_age(as_of: DateTime<Utc>) {
    metrics::gauge!("slipway_snapshot_timestamp_seconds").set(as_of.timestamp() as f64);
}

fn number_in(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}
