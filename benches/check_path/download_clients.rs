//! Clients of the generator of downloads, each of which downloads one file again and again.

use std::convert::Infallible;
use std::io::{BufRead as _, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use socket2::{Domain, Socket, Type};

use crate::arguments::Downloads;
use crate::connection::answer_length;
use crate::download_load::Progress;

/// Maximum number of bytes of one read.
const READ_BYTES: u64 = 1 << 20;
/// Flag of Linux that discards the received bytes. Copying them would take time of the generator's core, which must not be
/// the bottleneck.
const MSG_TRUNC: i32 = 0x20;
/// Time between two reads of a slow client.
const READ_INTERVAL: Duration = Duration::from_millis(125);
/// Receive buffer of a slow client. A larger one would hide the client's rate from the server for long.
const SLOW_BUFFER: usize = 64 << 10;
/// Segment size of a slow client, as on an Ethernet. That of the loopback interface is as large as the buffer.
const SLOW_SEGMENT: u32 = 1_448;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Stack of a client's thread.
const STACK_BYTES: usize = 128 << 10;
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// State of all clients.
#[derive(Default)]
struct Counters {
    bytes: AtomicU64,
    begun: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl Counters {
    fn progress(&self, seconds: f64) -> Progress {
        Progress {
            seconds,
            bytes: self.bytes.load(Ordering::Relaxed),
            begun: self.begun.load(Ordering::Relaxed),
            failure: self
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    fn record_failure(&self, error: &anyhow::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// Runs the clients. Reports the progress for each line of standard input, and returns at its end.
pub(crate) fn run(downloads: &Downloads) -> anyhow::Result<()> {
    let began = Instant::now();
    let (downloads, counters) = (Arc::new(downloads.clone()), Arc::new(Counters::default()));
    for number in 0..downloads.connections {
        let (downloads, counters) = (downloads.clone(), counters.clone());
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || download_until_killed(&downloads, number, &counters))?;
    }
    for line in std::io::stdin().lock().lines() {
        line?;
        let progress = counters.progress(began.elapsed().as_secs_f64());
        println!("{}", serde_json::to_string(&progress)?);
    }
    Ok(())
}

fn download_until_killed(downloads: &Downloads, number: usize, counters: &Counters) {
    if downloads.client_rate.is_some() {
        // Spreads the reads of slow clients over the interval.
        thread::sleep(READ_INTERVAL.mul_f64(number as f64 / downloads.connections as f64));
    }
    let mut has_begun = false;
    loop {
        let Err(error) = Client::connect(downloads).and_then(|client| client.run(counters, &mut has_begun));
        counters.record_failure(&error);
        thread::sleep(RETRY_AFTER);
    }
}

/// Connection of a client.
struct Client<'a> {
    socket: Socket,
    downloads: &'a Downloads,
    discarded: Vec<MaybeUninit<u8>>,
}

impl<'a> Client<'a> {
    fn connect(downloads: &'a Downloads) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::for_address(downloads.address), Type::STREAM, None)?;
        if downloads.client_rate.is_some() {
            // The window and the segments are agreed on when the connection is made.
            socket.set_recv_buffer_size(SLOW_BUFFER)?;
            socket.set_tcp_mss(SLOW_SEGMENT)?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.connect(&downloads.address.into())?;
        let read_bytes = downloads.client_rate.map_or(READ_BYTES, |rate| {
            ((rate as f64 * READ_INTERVAL.as_secs_f64()) as u64).clamp(1, READ_BYTES)
        });
        Ok(Self {
            socket,
            downloads,
            discarded: vec![MaybeUninit::uninit(); usize::try_from(read_bytes)?],
        })
    }

    /// Downloads the file until a download fails.
    fn run(mut self, counters: &Counters, has_begun: &mut bool) -> anyhow::Result<Infallible> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: slipway.example\r\n\r\n",
            self.downloads.path
        );
        let mut pace = self.downloads.client_rate.map(Pace::new);
        loop {
            self.socket.write_all(request.as_bytes())?;
            let mut received = self.read_head()?;
            counters.bytes.fetch_add(received, Ordering::Relaxed);
            while received < self.downloads.file_bytes {
                let read = self.discard(self.downloads.file_bytes - received)?;
                received += read;
                counters.bytes.fetch_add(read, Ordering::Relaxed);
                if !std::mem::replace(has_begun, true) {
                    counters.begun.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(pace) = &mut pace {
                    pace.wait(read);
                }
            }
        }
    }

    /// Reads the head of a response, and returns the number of bytes of the file that came with it.
    fn read_head(&mut self) -> anyhow::Result<u64> {
        let (mut bytes, mut length) = ([0; 4_096], 0);
        loop {
            let read = self.socket.read(&mut bytes[length..])?;
            ensure!(
                read > 0,
                "the server closed a connection before a head, or it is too long"
            );
            length += read;
            let Some(answer) = answer_length(&bytes[..length])? else {
                continue;
            };
            ensure!(answer.status == 200, "answered with {}", answer.status);
            let file_bytes = (answer.total - answer.head) as u64;
            ensure!(
                file_bytes == self.downloads.file_bytes,
                "the Content-Length is {file_bytes}"
            );
            return Ok((length - answer.head) as u64);
        }
    }

    /// Receives some of the remaining bytes of a file, and discards them.
    fn discard(&mut self, remaining: u64) -> anyhow::Result<u64> {
        let most = self.discarded.len().min(usize::try_from(remaining)?);
        let read = self
            .socket
            .recv_with_flags(&mut self.discarded[..most], MSG_TRUNC)?;
        ensure!(
            read > 0,
            "the server closed a connection before the end of a file"
        );
        Ok(read as u64)
    }
}

/// Limit of a client's rate.
struct Pace {
    bytes_per_second: u64,
    next_read: Instant,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            next_read: Instant::now(),
        }
    }

    /// Waits as long as the link of the client would need for these bytes. At most one interval of lost time is made up
    /// for.
    fn wait(&mut self, bytes: u64) {
        let transfer = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let now = Instant::now();
        self.next_read = self.next_read.max(now.checked_sub(READ_INTERVAL).unwrap_or(now)) + transfer;
        thread::sleep(self.next_read.saturating_duration_since(now));
    }
}
