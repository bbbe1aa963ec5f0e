//! `wrk` as a closed-loop generator: each connection sends its next request after it has received an answer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
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
    /// Bytes of all answers, also of those that were not whole at the end.
    pub(crate) bytes: u64,
    pub(crate) p99_us: u64,
}

impl Summary {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// Sends the requests of a file in turn for a duration.
pub(crate) fn run(
    address: SocketAddr,
    requests: &Path,
    connections: usize,
    load: Duration,
) -> anyhow::Result<Summary> {
    let wrk = on_core(GENERATOR_CORE, "wrk");
    let summary = summarize(wrk, (address, requests, connections), (load, "10s"))?;
    ensure!(summary.requests > 0, "no request was answered");
    Ok(summary)
}

/// Downloads beside another load, which gets the generator's core first. A download may last longer than the load.
pub(crate) fn run_beside(
    address: SocketAddr,
    requests: &Path,
    connections: usize,
    load: Duration,
) -> anyhow::Result<Summary> {
    let mut wrk = on_core(GENERATOR_CORE, "nice");
    wrk.args(["-n", "19", "wrk"]);
    summarize(wrk, (address, requests, connections), (load, "1h"))
}

fn summarize(
    mut wrk: Command,
    (address, requests, connections): (SocketAddr, &Path, usize),
    (load, timeout): (Duration, &str),
) -> anyhow::Result<Summary> {
    let output = wrk
        .args(["-t", "1", "-c", &connections.to_string()])
        .args(["-d", &format!("{}s", load.as_secs().max(1)), "--timeout", timeout])
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
    Ok(summary)
}
