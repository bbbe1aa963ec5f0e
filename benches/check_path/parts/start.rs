//! Memory of each release, and duration of a start.

use super::Fixture;
use crate::bulk_data::Catalog;
use crate::measure::Rounds;
use crate::node::{Node, Setup};
use crate::process::settle;
use crate::report::{Goal, Report};

const MIB: f64 = 1_048_576.0;

/// Measures the memory of a release without its prepared bytes and without that of an empty server.
///
/// The limit is that of a catalog without superseded releases, which the node holds entirely.
pub(super) fn measure_memory(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let empty = Catalog::make(&fixture.postgres, "empty", 0)?;
    let base = Node::on_one_core(&empty.url)?.process.resident_bytes()? as f64;
    fixture.large.make_all_effective(&fixture.postgres)?;
    let (every, seen) = memory_per_release(fixture, base)?;
    fixture.large.supersede(&fixture.postgres)?;
    let goal = Goal::AtMost {
        must: 256.0,
        aim: 128.0,
    };
    report.figure(
        "memory per release beyond its prepared bytes, every release held",
        goal,
        (every, "B"),
        &seen,
    );
    let (effective, seen) = memory_per_release(fixture, base)?;
    report.note(format!(
        "Without superseded releases: {:.0} B per release that is held; {seen}.",
        effective.median
    ));
    Ok(())
}

/// Measures the releases that a node holds. `base` is the memory of an empty server.
fn memory_per_release(fixture: &Fixture, base: f64) -> anyhow::Result<(Rounds, String)> {
    let mut figures = Vec::new();
    let mut seen = String::new();
    for _ in 0..fixture.plan.rounds.min(3) {
        let node = Node::on_one_core(&fixture.large.url)?;
        settle();
        let resident = node.process.resident_bytes()? as f64;
        let prepared = node.metric("slipway_catalog_prepared_bytes", "")?;
        let releases = node.metric("slipway_catalog_releases", "")?;
        figures.push((resident - base - prepared) / releases);
        seen = format!(
            "{releases:.0} releases, resident {:.0} MiB, an empty server {:.0}, prepared {:.0} ({:.0} B each)",
            resident / MIB,
            base / MIB,
            prepared / MIB,
            prepared / releases,
        );
    }
    Ok((Rounds::of(figures), seen))
}

/// Measures the time from the start of the process until it is ready, on all cores.
pub(super) fn measure_start(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let mut figures = Vec::new();
    for _ in 0..fixture.plan.rounds.min(3) {
        let setup = Setup {
            database_url: &fixture.large.url,
            ..Setup::default()
        };
        figures.push(Node::start(setup)?.ready_after.as_secs_f64());
    }
    let goal = Goal::AtMost { must: 15.0, aim: 8.0 };
    report.figure(
        "start from PostgreSQL",
        goal,
        (Rounds::of(figures), "s"),
        "until /readyz is 200, on all cores",
    );
    Ok(())
}

/// Measures the start from a snapshot of an earlier node, with PostgreSQL stopped.
pub(super) fn measure_snapshot(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let data_dir = tempfile::tempdir()?;
    let setup = || Setup {
        database_url: &fixture.large.url,
        data_dir: Some(data_dir.path().to_owned()),
        ..Setup::default()
    };
    let node = Node::start(setup())?;
    let saved_after = node.wait_for_snapshot()?;
    drop(node);
    fixture.postgres.stop()?;
    let starts: anyhow::Result<Vec<_>> = (0..fixture.plan.rounds.min(3))
        .map(|_| Ok(Node::start(setup())?.ready_after.as_secs_f64()))
        .collect();
    fixture.postgres.resume()?;
    let goal = Goal::AtMost { must: 5.0, aim: 3.0 };
    report.figure(
        "start from the snapshot",
        goal,
        (Rounds::of(starts?), "s"),
        &format!(
            "PostgreSQL stopped; the snapshot was there {:.0} s after the node was ready",
            saved_after.as_secs_f64()
        ),
    );
    Ok(())
}
