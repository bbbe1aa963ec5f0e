//! Cost of idle event streams: memory, and the rate of checks with them.

use std::thread;
use std::time::Duration;

use super::Fixture;
use crate::devices::{Events, allow_connections, enrol};
use crate::measure::{Contestant, Rounds, in_turn};
use crate::node::Node;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};

/// Waiting time after new streams open. A node writes connection states in batches.
const REST: Duration = Duration::from_secs(5);

/// Compares two nodes of one database on one core, in turn: one with streams, one without.
pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let count = fixture.plan.streams;
    allow_connections(count)?;
    let (with, without) = (
        Node::on_one_core(&fixture.large.url)?,
        Node::on_one_core(&fixture.large.url)?,
    );
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Native);
    requests.try_all(&with)?;
    requests.try_all(&without)?;
    let devices = enrol(without.address, "stream", count)?;
    thread::sleep(REST);
    let before = with.process.resident_bytes()?;
    let streams: Vec<_> = devices
        .iter()
        .map(|device| Events::open(with.address, device))
        .collect::<anyhow::Result<_>>()?;
    thread::sleep(REST);
    let after = with.process.resident_bytes()?;
    let each = after.saturating_sub(before) as f64 / streams.len() as f64;
    report.note(format!(
        "{} idle event streams on one node: {:.1} KiB each ({:.0} MiB before, {:.0} MiB with them).",
        streams.len(),
        each / 1_024.0,
        before as f64 / f64::from(1 << 20),
        after as f64 / f64::from(1 << 20),
    ));
    let contestants = [
        Contestant::node(&with, &requests.path),
        Contestant::node(&without, &requests.path),
    ];
    let rounds = (fixture.plan.rounds, fixture.plan.load);
    let [beside, alone] = in_turn(contestants, rounds, || requests.write())?;
    let seen = format!(
        "{:.0} against {:.0} native checks/s with {} streams; p99 {:.1} against {:.1} ms",
        Rounds::rate(&beside).median,
        Rounds::rate(&alone).median,
        streams.len(),
        Rounds::p99_ms(&beside).median,
        Rounds::p99_ms(&alone).median,
    );
    let ratio = Rounds::ratio(&beside, &alone, |sample| sample.rate);
    let goal = Goal::AtLeast { must: 0.8, aim: 0.95 };
    report.figure(
        "rate beside idle event streams, of that without",
        goal,
        (ratio, ""),
        &seen,
    );
    Ok(())
}
