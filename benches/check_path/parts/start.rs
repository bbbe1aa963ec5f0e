//! Memory for each release, and how long a start takes.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bulk_data::Catalog;
use crate::measure::Rounds;
use crate::node::{Node, Setup};
use crate::process::settle;
use crate::report::{Goal, Report};

/// How long a first snapshot may take.
const SNAPSHOT_WITHIN: Duration = Duration::from_mins(1);
const MIB: f64 = 1_048_576.0;

/// What a release takes beyond its prepared bytes, with an empty server taken off.
pub(super) fn measure_memory(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let empty = Catalog::make(&stage.postgres, "empty", 0)?;
    let base = Node::on_one_core(&empty.url)?.process.resident_bytes()? as f64;
    let mut figures = Vec::new();
    let mut seen = String::new();
    for _ in 0..stage.plan.rounds.min(3) {
        let node = Node::on_one_core(&stage.large.url)?;
        settle();
        let resident = node.process.resident_bytes()? as f64;
        let prepared = node.metric("slipway_catalog_prepared_bytes", "")?;
        let releases = node.metric("slipway_catalog_releases", "")?;
        figures.push((resident - base - prepared) / releases);
        seen = format!(
            "resident {:.0} MiB, an empty server {:.0}, prepared {:.0} ({:.0} B each)",
            resident / MIB,
            base / MIB,
            prepared / MIB,
            prepared / releases,
        );
    }
    let goal = Goal::AtMost {
        must: 256.0,
        aim: 128.0,
    };
    report.figure(
        "memory per release beyond its prepared bytes",
        goal,
        (Rounds::of(figures), "B"),
        &seen,
    );
    Ok(())
}

/// From the start of the process until it is ready, on all cores.
pub(super) fn measure_start(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let mut figures = Vec::new();
    for _ in 0..stage.plan.rounds.min(3) {
        let setup = Setup {
            database_url: &stage.large.url,
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

/// From the snapshot that a node before has left, with PostgreSQL stopped.
pub(super) fn measure_snapshot(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let data_dir = tempfile::tempdir()?;
    let setup = || Setup {
        database_url: &stage.large.url,
        settings: &[("SLIPWAY_SNAPSHOT_INTERVAL_S", "1")],
        data_dir: Some(data_dir.path().to_owned()),
        ..Setup::default()
    };
    let node = Node::start(setup())?;
    if !wait_for_snapshot(&node.data_dir.join("snapshots"))? {
        report.note(format!(
            "Start from the snapshot: not measured, no snapshot came within {} s.",
            SNAPSHOT_WITHIN.as_secs()
        ));
        return Ok(());
    }
    drop(node);
    stage.postgres.stop()?;
    let starts: anyhow::Result<Vec<_>> = (0..stage.plan.rounds.min(3))
        .map(|_| Ok(Node::start(setup())?.ready_after.as_secs_f64()))
        .collect();
    stage.postgres.resume()?;
    let goal = Goal::AtMost { must: 5.0, aim: 3.0 };
    report.figure(
        "start from the snapshot",
        goal,
        (Rounds::of(starts?), "s"),
        "PostgreSQL stopped",
    );
    Ok(())
}

/// Whether a snapshot is there and is no longer written to.
fn wait_for_snapshot(directory: &Path) -> anyhow::Result<bool> {
    let deadline = Instant::now() + SNAPSHOT_WITHIN;
    let mut size_before = None;
    while Instant::now() < deadline {
        let size = size_of_files(directory)?;
        if size.is_some() && size == size_before {
            return Ok(true);
        }
        size_before = size;
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(false)
}

fn size_of_files(directory: &Path) -> anyhow::Result<Option<u64>> {
    let mut size = None;
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        // A file that is renamed meanwhile is looked at again.
        if let Ok(facts) = entry?.metadata() {
            *size.get_or_insert(0) += facts.len();
        }
    }
    Ok(size.filter(|size| *size > 0))
}
