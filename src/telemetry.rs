//! Logs and metrics of the process.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Latencies from a tenth of a millisecond to ten seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// From a hundredth of a second, when a device hangs on the server, to a week, when it was switched off.
const ACKNOWLEDGE_BUCKETS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0,
];

/// Writes logs to standard error: JSON lines, or text where a person reads along. `filter` is a level such as `info`,
/// or directives such as `info,slipway=debug`.
pub fn start_logging(filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).context("SLIPWAY_LOG must be a level or directives of tracing")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        logs.try_init()
    } else {
        logs.json().try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}

/// The process's one recorder of metrics; installed when it is first asked for.
pub fn metrics_recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    // Servers that start at once in one process share the recorder: the second waits until the first has it.
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
    metrics::set_global_recorder(recorder).context("another recorder of metrics is installed")?;
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Keeps histograms small until the task is dropped.
pub async fn tend_metrics(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}
