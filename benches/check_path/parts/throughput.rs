//! Rate of checks on one core, compared with baselines and with a small catalog.

use std::time::Duration;

use super::{FEW_RELEASES, Fixture, Requests};
use crate::arguments::BaselineKind;
use crate::baseline::Baseline;
use crate::bulk_data::Catalog;
use crate::measure::{Contestant, Rounds, Sample, in_turn};
use crate::node::Node;
use crate::report::{Goal, Report};
use crate::requests::{Answers, Face, Spread};

pub(super) fn measure_gateway(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let answers = requests.try_all(node)?;
    let size = answers.mean_body_bytes;
    let stock = Baseline::start(BaselineKind::Stock, size, None)?;
    let borrowing = Baseline::start(BaselineKind::Borrowing, size, None)?;
    let contestants = [
        Contestant::node(node, &requests.path),
        Contestant::baseline(&stock, &requests.path),
        Contestant::baseline(&borrowing, &requests.path),
    ];
    let [own, stock, borrowing] = measure(fixture, node, contestants, &[&requests])?;
    let goal = Goal::AtLeast {
        must: 0.85,
        aim: 0.95,
    };
    compare(
        report,
        "signed gateway check against C",
        goal,
        (&own, &stock),
        &answers,
    );
    let goal = Goal::AtLeast {
        must: 0.70,
        aim: 0.80,
    };
    compare(
        report,
        "signed gateway check against C′",
        goal,
        (&own, &borrowing),
        &answers,
    );
    Ok(())
}

pub(super) fn measure_native(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Native);
    let answers = requests.try_all(node)?;
    let stock = Baseline::start(BaselineKind::Stock, answers.mean_body_bytes, None)?;
    let contestants = [
        Contestant::node(node, &requests.path),
        Contestant::baseline(&stock, &requests.path),
    ];
    let [own, stock] = measure(fixture, node, contestants, &[&requests])?;
    let goal = Goal::AtLeast { must: 0.90, aim: 1.0 };
    compare(report, "native check against C", goal, (&own, &stock), &answers);
    Ok(())
}

pub(super) fn measure_query(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let answers = requests.try_all(node)?;
    let query = Baseline::start(
        BaselineKind::Query,
        answers.mean_body_bytes,
        Some(&fixture.large.url),
    )?;
    let contestants = [
        Contestant::node(node, &requests.path),
        Contestant::baseline(&query, &requests.path),
    ];
    let [own, query] = measure(fixture, node, contestants, &[&requests])?;
    let goal = Goal::AtLeast {
        must: 12.0,
        aim: 20.0,
    };
    compare(
        report,
        "signed gateway check against Q",
        goal,
        (&own, &query),
        &answers,
    );
    Ok(())
}

/// Measures the rate with the large catalog relative to the small one.
pub(super) fn measure_sizes(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let few = Catalog::make(&fixture.postgres, "small", FEW_RELEASES)?;
    let small_node = Node::on_one_core(&few.url)?;
    let spreads = [
        (
            Spread::Uniform,
            "large against a thousand, tenants uniform",
            Goal::AtLeast {
                must: 0.75,
                aim: 0.85,
            },
        ),
        (
            Spread::Skewed,
            "large against a thousand, tenants skewed (Zipf)",
            Goal::AtLeast {
                must: 0.85,
                aim: 0.95,
            },
        ),
    ];
    for (spread, what, goal) in spreads {
        let of_large = fixture.requests(&fixture.large, spread, Face::Gateway);
        let of_small = fixture.requests(&few, spread, Face::Gateway);
        let answers = of_large.try_all(node)?;
        of_small.try_all(&small_node)?;
        let contestants = [
            Contestant::node(node, &of_large.path),
            Contestant::node(&small_node, &of_small.path),
        ];
        let [large, small] = measure(fixture, node, contestants, &[&of_large, &of_small])?;
        compare(report, what, goal, (&large, &small), &answers);
    }
    Ok(())
}

/// Measures each contestant. Fails unless the node answered all its requests with success.
fn measure<const N: usize>(
    fixture: &Fixture,
    node: &Node,
    contestants: [Contestant<'_>; N],
    requests: &[&Requests],
) -> anyhow::Result<[Vec<Sample>; N]> {
    let refused = node.metric("slipway_checks_total", "refused")?;
    // Every device has asked once by now. The measurement covers known devices only.
    while node.metric("slipway_device_records_queued", "")? > 0.0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let samples = in_turn(contestants, (fixture.plan.rounds, fixture.plan.load), || {
        requests.iter().try_for_each(|requests| requests.write())
    })?;
    let refused_now = node.metric("slipway_checks_total", "refused")?;
    anyhow::ensure!(refused_now <= refused, "checks were refused under load");
    Ok(samples)
}

fn compare(
    report: &mut Report,
    what: &str,
    goal: Goal,
    (own, other): (&[Sample], &[Sample]),
    answers: &Answers,
) {
    let by_rate = Rounds::ratio(own, other, |sample| sample.rate);
    let by_cpu = Rounds::ratio(other, own, |sample| sample.cpu_us);
    let seen = format!(
        "{:.0} against {:.0} requests/s; answers of {} B, {:.0} % with offers",
        Rounds::rate(own).median,
        Rounds::rate(other).median,
        answers.mean_body_bytes,
        answers.with_offers * 100.0,
    );
    report.figure(what, goal, (by_rate, ""), &seen);
    let seen = format!(
        "{:.1} against {:.1} µs of processor time for a check",
        Rounds::cpu_us(own).median,
        Rounds::cpu_us(other).median,
    );
    report.figure(&format!("{what}, by processor time"), goal, (by_cpu, ""), &seen);
}
