//! Logs and metrics of the process.

mod log_queue;
mod panics;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use self::log_queue::{FormatNotice, LogQueue};

/// Latencies from 0.1 milliseconds to 10 seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// Acknowledgement times from 0.01 seconds, for a connected device, to a week, for one that was switched off.
const ACKNOWLEDGE_BUCKETS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0,
];

/// Time limit for writing the remaining log when the process ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// Time limit for writing a line to standard output.
const PRINT_WITHIN: Duration = Duration::from_secs(2);

/// The log of the process, once started.
static LOG: OnceLock<LogQueue> = OnceLock::new();

/// Starts logging to standard error, as text on a terminal and as JSON lines otherwise. `filter` is a level such as
/// `info`, or directives such as `info,slipway=debug`. Panics are logged too.
///
/// Logging never blocks and never fails: lines that cannot be written are dropped and counted.
pub fn start_logging(filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).context("SLIPWAY_LOG must be a level or directives of tracing")?;
    let is_terminal = io::stderr().is_terminal();
    let notice: FormatNotice = if is_terminal { text_notice } else { json_notice };
    // A separate file handle: another writer may hold the lock of standard error forever.
    let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = LogQueue::start(out, notice).context("cannot start the log writer thread")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_ansi(is_terminal)
        .with_writer(LOG.get_or_init(|| queue).clone());
    let started = if is_terminal {
        logs.try_init()
    } else {
        logs.json().try_init()
    };
    panics::log_panics();
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}

fn text_notice(dropped: u64) -> String {
    format!(
        "{}  WARN slipway::telemetry: log lines were dropped dropped={dropped}\n",
        now()
    )
}

/// Formats a notice like other JSON lines. The formatter cannot be used inside the writer.
fn json_notice(dropped: u64) -> String {
    format!(
        "{{\"timestamp\":\"{}\",\"level\":\"WARN\",\"fields\":{{\"message\":\"log lines were dropped because \
         the log could not be written\",\"dropped\":{dropped}}},\"target\":\"slipway::telemetry\"}}\n",
        now()
    )
}

/// Returns the current time in the format of the log.
#[expect(
    clippy::disallowed_methods,
    reason = "the log tells the real time, whatever a test's clock says"
)]
fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Waits until the log is written, for at most 2 seconds.
pub fn flush_log() {
    if let Some(log) = LOG.get() {
        log.flush(FLUSH_WITHIN);
    }
}

/// Prints a last message to standard error after the log, in bounded time.
pub fn print_error(message: &str) {
    let line = format!("{message}\n");
    match LOG.get() {
        Some(log) => {
            log.push(line.as_bytes());
            log.flush(FLUSH_WITHIN);
        }
        // There is no way to report a failure.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Prints a line to standard output in bounded time, because a reader may have stopped reading.
pub fn print_line(line: &str) -> io::Result<()> {
    let (done, is_done) = mpsc::sync_channel(1);
    let line = format!("{line}\n");
    thread::Builder::new().spawn(move || {
        let mut out = io::stdout().lock();
        let printed = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        // The caller may have stopped waiting.
        let _ = done.send(printed);
    })?;
    is_done
        .recv_timeout(PRINT_WITHIN)
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Returns the metrics recorder of the process, and installs it at the first call.
pub fn metrics_recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    // Concurrent starts of servers in one process share the recorder. Later ones wait until the first has installed it.
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*installed {
        return Ok(recorder.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration_seconds".to_owned()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(
            Matcher::Suffix("acknowledge_seconds".to_owned()),
            &ACKNOWLEDGE_BUCKETS,
        )?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("another metrics recorder is already installed")?;
    if let Some(log) = LOG.get() {
        log.count_with(metrics::counter!("slipway_log_lines_dropped_total"));
    }
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Trims histograms until the task is dropped.
pub async fn tend_metrics(recorder: &PrometheusHandle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}
