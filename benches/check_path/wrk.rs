//! `wrk` as a closed-loop generator: each connection sends its next request after it has received an answer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::process::{GENERATOR_CORE, on_core};

/// Enough connections to saturate one core.
pub(crate) const CONNECTIONS: usize = 32;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/check_path/wrk.lua");

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    failures: u64,
    pub(crate) p99_us: u64,
}

impl Summary {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Sends the requests of a file in turn for a duration.
pub(crate) fn run(
    address: SocketAddr,
    requests: &Path,
    connections: usize,
    load: Duration,
) -> anyhow::Result<Summary> {
    let output = on_core(GENERATOR_CORE, "wrk")
        .args(["-t", "1", "-c", &connections.to_string()])
        .args(["-d", &format!("{}s", load.as_secs().max(1)), "--timeout", "10s"])
        .args(["-s", SCRIPT, &format!("http://{address}"), "--"])
        .arg(requests)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let summary = text
        .lines()
        .find_map(|line| line.strip_prefix("wrk-summary "))
        .with_context(|| format!("wrk failed: {text} {}", String::from_utf8_lossy(&output.stderr)))?;
    let summary: Summary = serde_json::from_str(summary)?;
    ensure!(summary.failures == 0, "{} requests failed", summary.failures);
    ensure!(summary.requests > 0, "no request was answered");
    Ok(summary)
}
