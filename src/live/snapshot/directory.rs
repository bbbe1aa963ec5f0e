//! Directory of a node's snapshots: a few generations, each written atomically.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::SnapshotError;
use super::frames::read_journal_number;
use crate::secrets::Keyring;

/// Number of snapshots to keep. If the newest is damaged, an older one can still start a node.
const GENERATIONS: usize = 3;
const PREFIX: &str = "catalog-";
const SUFFIX: &str = ".snapshot";
/// Number of bytes written between two syncs to disk.
const SYNCHRONISED_BYTES: usize = 4 << 20;
/// Suffix of a file that is being written, or was left by a killed process.
const UNFINISHED: &str = ".unfinished";
/// Suffix of a journal segment.
const JOURNAL: &str = ".journal";

/// Directory in which a node keeps its snapshots, as `catalog-<microseconds since 1970>.snapshot`.
#[derive(Debug, Clone)]
pub struct SnapshotDirectory(pub(super) PathBuf);

impl SnapshotDirectory {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads the newest generation that `read` accepts, and logs the reason for rejecting newer ones.
    pub(super) fn newest_accepted<T>(
        &self,
        generations: &[i64],
        read: impl Fn(&Path) -> Result<T, SnapshotError>,
    ) -> Option<T> {
        generations.iter().rev().find_map(|number| {
            let path = self.path_of(*number);
            read(&path)
                .inspect_err(|error| {
                    tracing::error!(file = %path.display(), %error, "a snapshot was rejected");
                    metrics::counter!("slipway_snapshot_refused_total").increment(1);
                })
                .ok()
        })
    }

    /// Returns the journal segments, ordered by number.
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

    /// Creates the file of a segment, accessible only to its owner. Fails if the file exists.
    pub(super) fn create_segment(&self, number: u64) -> io::Result<File> {
        self.create()?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.segment_path(number))?;
        self.sync()?;
        Ok(file)
    }

    /// Removes the journal segments that no remaining snapshot needs.
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

    /// Writes a new generation and removes those beyond the limit. Returns the file and the result of `write`.
    pub(super) fn save<T>(
        &self,
        now: DateTime<Utc>,
        write: impl FnOnce(&mut BufWriter<SyncingWriter<'_>>) -> Result<T, SnapshotError>,
    ) -> Result<(File, T), SnapshotError> {
        self.create()?;
        let generations = self.generations()?;
        // The new number must be the highest, even if the clock was set back.
        let newest = generations.last().copied().unwrap_or(0);
        let number = now.timestamp_micros().max(newest.saturating_add(1));
        // Readable only by its owner, and removed if anything fails.
        let mut file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(UNFINISHED)
            .tempfile_in(&self.0)?;
        let mut out = BufWriter::with_capacity(1 << 20, SyncingWriter::new(file.as_file_mut()));
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

    /// Removes the files of a process that was killed while writing.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        for name in self.names()? {
            if name.starts_with(PREFIX) && name.ends_with(UNFINISHED) {
                fs::remove_file(self.0.join(name))?;
            }
        }
        Ok(())
    }

    /// Returns the numbers of all generations, oldest first.
    pub(super) fn generations(&self) -> io::Result<Vec<i64>> {
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

    /// Creates the directory, accessible only to its owner, if it is absent.
    fn create(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// Makes the new name durable, on platforms where directories can be synced.
    fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}

/// Journal segment on disk.
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// Writer that syncs to disk in small steps. A single large sync would delay other users of the disk.
pub(super) struct SyncingWriter<'a> {
    file: &'a mut File,
    unsynchronised: usize,
}

impl<'a> SyncingWriter<'a> {
    fn new(file: &'a mut File) -> Self {
        Self {
            file,
            unsynchronised: 0,
        }
    }
}

impl Write for SyncingWriter<'_> {
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

/// Reports the time of the newest snapshot as a metric.
#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
pub(super) fn report_age(as_of: DateTime<Utc>) {
    metrics::gauge!("slipway_snapshot_timestamp_seconds").set(as_of.timestamp() as f64);
}

fn number_in(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}
