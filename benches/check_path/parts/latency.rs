//! Latency at half of the rate of the closed loop.

use super::Fixture;
use crate::arguments::BaselineKind;
use crate::baseline::Baseline;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::Node;
use crate::open_loop;
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

/// Loads both servers at the same rate: half of the program's maximum.
pub(super) fn measure(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let size = requests.try_all(node)?.mean_body_bytes;
    let stock = Baseline::start(BaselineKind::Stock, size, None)?;
    requests.write()?;
    let contestant = Contestant::node(node, &requests.path);
    let closed = Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?;
    let rate = closed.rate / 2.0;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..fixture.plan.rounds {
        requests.write()?;
        settle();
        own.push(open_loop::measure(
            node.address,
            &requests.path,
            rate,
            fixture.plan.load,
        )?);
        settle();
        other.push(open_loop::measure(
            stock.address,
            &requests.path,
            rate,
            fixture.plan.load,
        )?);
    }
    let ratio = Rounds::of(
        own.iter()
            .zip(&other)
            .map(|(own, other)| own.p99_us / other.p99_us),
    );
    let median = |of: &[open_loop::Latencies], figure: fn(&open_loop::Latencies) -> f64| {
        Rounds::of(of.iter().map(figure)).median
    };
    let seen = format!(
        "at {:.0} requests/s: p50 {:.0} against {:.0} µs, p99 {:.0} against {:.0} µs, longest {:.0} against {:.0} µs",
        median(&own, |latencies| latencies.rate),
        median(&own, |latencies| latencies.p50_us),
        median(&other, |latencies| latencies.p50_us),
        median(&own, |latencies| latencies.p99_us),
        median(&other, |latencies| latencies.p99_us),
        median(&own, |latencies| latencies.max_us),
        median(&other, |latencies| latencies.max_us),
    );
    let goal = Goal::AtMost { must: 1.5, aim: 1.1 };
    report.figure(
        "p99 in an open loop at half of the rate, against C",
        goal,
        (ratio, "×"),
        &seen,
    );
    Ok(())
}
