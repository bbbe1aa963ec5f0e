//! The fault runner: three nodes and PostgreSQL as processes, under writes and checks, while components fail.
//! `docs/faults.md` describes the run, its comparisons and its requirements.

mod connections;
mod database_file;
mod device;
mod full_disk;
mod history;
mod installation;
mod journal;
mod killed_uploads;
mod node;
mod pgbouncer;
mod plan;
mod round;
mod silent_calls;
mod state;
mod unwritable_log;
mod verify;
mod writer;

use std::env;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::device::keep_asking;
use self::installation::Installation;
use self::round::{Fault, Runner};
use self::verify::keep_verifying;
use slipway_test_support::cluster::Cluster;

/// Number of tasks that check at each node.
const DEVICES_AT_EACH_NODE: usize = 2;
const USUAL_SEED: u64 = 8007;

#[tokio::test(flavor = "multi_thread")]
async fn during_faults_every_answer_is_right_and_nothing_acknowledged_is_lost() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seed = number("SLIPWAY_FAULT_SEED").unwrap_or(USUAL_SEED);
    let minutes = number("SLIPWAY_FAULT_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let mut rng = fastrand::Rng::with_seed(seed);

    let cluster = Cluster::start().await;
    let installation = Arc::new(Installation::start(&cluster).await);
    let mut devices = JoinSet::new();
    let (observed, observations) = mpsc::unbounded_channel();
    let verifier = tokio::spawn(keep_verifying(installation.clone(), observations));
    for node in installation
        .nodes
        .iter()
        .cycle()
        .take(DEVICES_AT_EACH_NODE * installation.nodes.len())
    {
        devices.spawn(keep_asking(
            installation.clone(),
            node.clone(),
            rng.fork(),
            observed.clone(),
        ));
    }
    drop(observed);

    let mut runner = Runner::new(installation.clone(), cluster, rng);
    let rounds = AssertUnwindSafe(run(&mut runner, minutes)).catch_unwind().await;
    installation.is_over.store(true, Ordering::Relaxed);
    let is_complete = rounds.is_ok() && installation.has_no_failures();
    if is_complete {
        devices.join_all().await;
        verifier.await.unwrap();
    }
    let summary = runner.summary();
    assert!(
        is_complete && installation.has_no_failures(),
        "with SLIPWAY_FAULT_SEED={seed}:\n{}\n{summary}",
        installation.event_log()
    );
    eprintln!("seed {seed}: {summary}");
    if env::var_os("SLIPWAY_FAULT_LOG").is_some() {
        eprintln!("{}", installation.event_log());
    }
}

/// Runs every fault once, or all of them in random orders for a duration.
async fn run(runner: &mut Runner, minutes: Option<Duration>) {
    let begun = Instant::now();
    loop {
        for fault in runner.shuffled(Fault::ALL) {
            runner.round(fault).await;
            if !runner.has_no_failures() {
                return;
            }
        }
        if minutes.is_none_or(|minutes| begun.elapsed() >= minutes) {
            return;
        }
    }
}
