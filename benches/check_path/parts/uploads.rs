//! The upload of a large file against the least that must be done with it: read its digest, and write a copy.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::ensure;

use super::Fixture;
use super::publish::sign_in;
use crate::artifact_files::{make, upload};
use crate::measure::Rounds;
use crate::process::{SERVER_CORE, on_core, settle};
use crate::report::{Goal, Report};

const MIB: f64 = 1_048_576.0;
/// `sha256sum`, `cp` and `fsync`, since the node stores a file durably, too.
const BASELINE: &str = r#"sha256sum "$1" >/dev/null && cp "$1" "$2" && sync "$2""#;

/// Node and baseline in turn, each on the server's core, with a new file each round.
pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let bytes = fixture.plan.upload_bytes;
    let node = fixture.node_with_files()?;
    let token = sign_in(node.address)?;
    let directory = tempfile::tempdir()?;
    let warm_up = make(directory.path(), "warm-up", 1 << 20, 0)?;
    upload(&node, &token, &warm_up)?;
    let (mut rates, mut ratios, mut growths) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 1..=fixture.plan.rounds as u64 {
        let file = make(directory.path(), "file", bytes, seed)?;
        settle();
        let baseline_s = copy(&file, &directory.path().join("copy"))?;
        settle();
        let before = node.process.resident_bytes()?;
        node.process.forget_peak()?;
        let took_s = upload(&node, &token, &file)?.took.as_secs_f64();
        growths.push(node.process.peak_bytes()?.saturating_sub(before) as f64 / MIB);
        rates.push(bytes as f64 / MIB / took_s);
        ratios.push(baseline_s / took_s);
    }
    let rate = Rounds::of(rates);
    let seen = format!("{:.0} MiB at {:.0} MiB/s", bytes as f64 / MIB, rate.median);
    report.figure(
        "upload against sha256sum and a copy, both with fsync",
        Goal::AtLeast { must: 0.5, aim: 0.8 },
        (Rounds::of(ratios), ""),
        &seen,
    );
    report.figure(
        "peak of the node's memory during an upload",
        Goal::AtMost {
            must: 64.0,
            aim: 16.0,
        },
        (Rounds::of(growths), "MiB"),
        "beyond the memory before it",
    );
    Ok(())
}

/// Returns the seconds of the baseline.
fn copy(file: &Path, copy: &Path) -> anyhow::Result<f64> {
    let began = Instant::now();
    let status = on_core(SERVER_CORE, "sh")
        .args(["-c", BASELINE, "baseline"])
        .args([file, copy])
        .stdin(Stdio::null())
        .status()?;
    ensure!(status.success(), "the baseline failed");
    Ok(began.elapsed().as_secs_f64())
}
