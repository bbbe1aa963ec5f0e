//! A bounded queue of log lines and its writer thread.
//!
//! Logging never blocks the caller and never returns an error. A line that does not fit into the queue or cannot be
//! written is dropped and counted. The next written line is preceded by a notice with the number of dropped lines.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use metrics::Counter;
use tracing_subscriber::fmt::MakeWriter;

use crate::timer;

/// Maximum size of the queued lines, in bytes.
const CAPACITY_BYTES: usize = 4 << 20;
/// Wait before another write to a non-blocking file that is full.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Function that formats the notice of dropped lines.
pub(super) type FormatNotice = fn(u64) -> String;

/// Producer side of the queue of log lines.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Signals that there are entries to write.
    filled: Condvar,
    /// Signals that all entries are written.
    drained: Condvar,
    capacity_bytes: usize,
    dropped_total: AtomicU64,
    counter: OnceLock<Counter>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Lines dropped since the last line that fitted.
    dropped: u64,
    is_writing: bool,
}

/// A line, and the number of lines dropped before it.
struct Entry {
    dropped: u64,
    line: Vec<u8>,
}

impl LogQueue {
    /// Starts a thread that writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static, notice: FormatNotice) -> io::Result<Self> {
        Self::with_capacity(out, notice, CAPACITY_BYTES)
    }

    fn with_capacity(
        out: impl Write + Send + 'static,
        notice: FormatNotice,
        capacity_bytes: usize,
    ) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            capacity_bytes,
            dropped_total: AtomicU64::new(0),
            counter: OnceLock::new(),
        }));
        let shared = queue.0.clone();
        thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || Writer::new(out, notice).run(&shared))?;
        Ok(queue)
    }

    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.bytes + line.len() > self.0.capacity_bytes {
            state.dropped += 1;
            drop(state);
            self.0.count_dropped();
            return;
        }
        let dropped = std::mem::take(&mut state.dropped);
        state.bytes += line.len();
        state.entries.push_back(Entry {
            dropped,
            line: line.to_vec(),
        });
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until every line is written or dropped, or the time limit passes.
    pub(super) fn flush(&self, within: Duration) {
        let deadline = timer::now() + within;
        let mut state = self.0.lock();
        while !state.entries.is_empty() || state.is_writing {
            let left = deadline.saturating_duration_since(timer::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.drained.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Counts dropped lines as a metric, including earlier ones.
    pub(super) fn count_with(&self, counter: Counter) {
        counter.absolute(self.0.dropped_total.load(Ordering::Relaxed));
        // Fails only for a second counter. The metrics recorder is installed once per process.
        let _ = self.0.counter.set(counter);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_dropped(&self) {
        let total = self.dropped_total.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(counter) = self.counter.get() {
            counter.absolute(total);
        }
    }

    /// Waits for the next entry.
    fn next(&self) -> Entry {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.bytes -= entry.line.len();
                state.is_writing = true;
                return entry;
            }
            let dropped = std::mem::take(&mut state.dropped);
            if dropped > 0 {
                state.is_writing = true;
                return Entry {
                    dropped,
                    line: Vec::new(),
                };
            }
            self.drained.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Writer<W> {
    out: W,
    notice: FormatNotice,
    /// Dropped lines that the log does not report yet.
    untold: u64,
    /// True if the last write stopped in the middle of a line.
    is_torn: bool,
}

impl<W: Write> Writer<W> {
    const fn new(out: W, notice: FormatNotice) -> Self {
        Self {
            out,
            notice,
            untold: 0,
            is_torn: false,
        }
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let entry = shared.next();
            self.untold += entry.dropped;
            if !entry.line.is_empty() && self.write(&entry.line).is_err() {
                self.untold += 1;
                shared.count_dropped();
            } else if entry.line.is_empty() {
                // If the notice fails, it is retried with the next line.
                let _ = self.tell();
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.tell()?;
        self.write_all(line)
    }

    fn tell(&mut self) -> io::Result<()> {
        if self.untold > 0 {
            let notice = (self.notice)(self.untold);
            self.write_all(notice.as_bytes())?;
            self.untold = 0;
        }
        Ok(())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write_some(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => {
                    self.is_torn = rest.len() < line.len();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
                done => return done,
            }
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self)
    }
}

/// Writer for one event, which the formatter passes in one call.
pub(super) struct LineWriter<'a>(&'a LogQueue);

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn notice(count: u64) -> String {
        format!("{count} dropped\n")
    }

    /// A file whose disk a test can fill.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<DiskState>>);

    #[derive(Default)]
    struct DiskState {
        text: Vec<u8>,
        /// Bytes that still fit; `None` is unlimited.
        room: Option<usize>,
    }

    impl Disk {
        fn set_room(&self, room: Option<usize>) {
            self.0.lock().unwrap().room = room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().text.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let count = bytes.len().min(disk.room.unwrap_or(usize::MAX));
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.text.extend_from_slice(&bytes[..count]);
            disk.room = disk.room.map(|room| room - count);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn dropped(queue: &LogQueue) -> u64 {
        queue.0.dropped_total.load(Ordering::Relaxed)
    }

    #[test]
    fn after_a_full_disk_the_log_goes_on_and_says_what_it_lost() {
        let disk = Disk::default();
        let queue = LogQueue::start(disk.clone(), notice).unwrap();
        queue.push(b"first\n");
        queue.flush(LONG);
        disk.set_room(Some(3));
        for line in ["second\n", "third\n", "fourth\n"] {
            queue.push(line.as_bytes());
        }
        queue.flush(LONG);
        assert_eq!(dropped(&queue), 3);
        disk.set_room(None);
        queue.push(b"fifth\n");
        queue.push(b"sixth\n");
        queue.flush(LONG);
        assert_eq!(disk.text(), "first\nsec\n3 dropped\nfifth\nsixth\n");
    }

    #[test]
    fn a_reader_that_stops_reading_costs_lines_and_blocks_nobody() {
        struct Pipe(mpsc::SyncSender<Vec<u8>>);
        impl Write for Pipe {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (pipe, reader) = mpsc::sync_channel(0);
        let queue = LogQueue::with_capacity(Pipe(pipe), notice, 40).unwrap();
        let lines: Vec<_> = (0..100).map(|number| format!("line {number:3}\n")).collect();
        for line in &lines {
            queue.push(line.as_bytes());
        }
        // Four lines fit into the queue, and the writer thread may hold one more.
        let lost = dropped(&queue);
        assert!((95..=96).contains(&lost), "{lost}");
        queue.flush(Duration::from_millis(1));
        let mut read = Vec::new();
        while read.last() != Some(&notice(lost)) {
            read.push(String::from_utf8(reader.recv_timeout(LONG).unwrap()).unwrap());
        }
        read.pop();
        assert_eq!(read, lines[..read.len()], "in order");
        drop(reader);
        queue.push(b"nobody reads\n");
        queue.flush(LONG);
        assert_eq!(dropped(&queue), lost + 1);
    }
}
