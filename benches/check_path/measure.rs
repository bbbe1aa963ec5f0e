//! Rounds of load on alternating servers, and statistics of the results.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::baseline::Baseline;
use crate::node::Node;
use crate::process::{Process, settle};
use crate::wrk;

/// A server under load.
#[derive(Clone, Copy)]
pub(crate) struct Contestant<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) process: &'a Process,
    /// File of the requests to send.
    pub(crate) requests: &'a Path,
}

impl<'a> Contestant<'a> {
    pub(crate) fn node(node: &'a Node, requests: &'a Path) -> Self {
        Self {
            address: node.address,
            process: &node.process,
            requests,
        }
    }

    pub(crate) fn baseline(baseline: &'a Baseline, requests: &'a Path) -> Self {
        Self {
            address: baseline.address,
            process: &baseline.process,
            requests,
        }
    }
}

/// Result of one round on one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Processor time of the server per request, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) p99_us: f64,
}

impl Sample {
    pub(crate) fn take(
        contestant: Contestant<'_>,
        connections: usize,
        load: Duration,
    ) -> anyhow::Result<Self> {
        let before = contestant.process.cpu_seconds()?;
        let summary = wrk::run(contestant.address, contestant.requests, connections, load)?;
        let used = contestant.process.cpu_seconds()? - before;
        Ok(Self {
            rate: summary.rate(),
            cpu_us: used * 1e6 / summary.requests as f64,
            p99_us: summary.p99_us as f64,
        })
    }
}

/// Loads each server in turn, so that other activity of the machine affects all of them. Calls `prepare` before each
/// round. A first short round warms up and is not counted. Returns the rounds of each server.
pub(crate) fn in_turn<const N: usize>(
    contestants: [Contestant<'_>; N],
    (rounds, load): (usize, Duration),
    mut prepare: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<[Vec<Sample>; N]> {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=rounds {
        prepare()?;
        let load = if round == 0 { Duration::from_secs(1) } else { load };
        for (contestant, samples) in contestants.iter().zip(&mut samples) {
            let sample = Sample::take(*contestant, wrk::CONNECTIONS, load)?;
            if round > 0 {
                samples.push(sample);
            }
            settle();
        }
    }
    Ok(samples)
}

/// A figure measured in several rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Rounds {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self {
            median: percentile(&values, 50.0),
            lowest: percentile(&values, 0.0),
            highest: percentile(&values, 100.0),
        }
    }

    /// Ratio of two servers' figures, round by round.
    pub(crate) fn ratio<S>(of: &[S], by: &[S], figure: fn(&S) -> f64) -> Self {
        Self::of(of.iter().zip(by).map(|(of, by)| figure(of) / figure(by)))
    }

    pub(crate) fn rate(samples: &[Sample]) -> Self {
        Self::of(samples.iter().map(|sample| sample.rate))
    }

    pub(crate) fn cpu_us(samples: &[Sample]) -> Self {
        Self::of(samples.iter().map(|sample| sample.cpu_us))
    }

    pub(crate) fn p99_ms(samples: &[Sample]) -> Self {
        Self::of(samples.iter().map(|sample| sample.p99_us / 1e3))
    }
}

/// Returns the value below which this percentage of the sorted values lies.
pub(crate) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (percent / 100.0 * last as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
