//! The chaos run: pushes to simulated devices while nodes, PostgreSQL, the broker and connections fail.
//! `docs/chaos.md` describes the run and its requirements.

mod connection;
mod device;
mod fixture;
mod judge;
mod plan;
mod sender;
mod tally;

use std::env;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::task::JoinSet;

use self::device::Device;
use self::fixture::{Fixture, Phase};
use self::judge::Judge;
use self::plan::{Plan, Step};
use self::sender::{Sender, Sent};
use self::tally::Tally;

const USUAL_SEED: u64 = 4711;
const SENDERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn in_chaos_every_accepted_push_ends_acknowledged_or_reported_expired() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seed = number("SLIPWAY_CHAOS_SEED").unwrap_or(USUAL_SEED);
    let minutes = number("SLIPWAY_CHAOS_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let mut rng = fastrand::Rng::with_seed(seed);

    let fixture = Arc::new(Fixture::prepare().await);
    let run = AssertUnwindSafe(run(&fixture, &mut rng, minutes))
        .catch_unwind()
        .await;
    let is_telling = run
        .as_ref()
        .is_ok_and(|tally| tally.is_telling(minutes.is_some()));
    let summary = run.map_or_else(|_| "the run ended early".to_owned(), |tally| tally.to_string());
    assert!(
        fixture.event_log.has_no_failures() && is_telling,
        "with SLIPWAY_CHAOS_SEED={seed}:\n{}\n{summary}",
        fixture.dump()
    );
    eprintln!("seed {seed}: {summary}");
    if env::var_os("SLIPWAY_CHAOS_LOG").is_some() {
        eprintln!("{}", fixture.dump());
    }
}

/// Runs every fault once, or faults for a duration. Then ends all faults, waits until every push has ended, and judges.
async fn run(fixture: &Arc<Fixture>, rng: &mut fastrand::Rng, minutes: Option<Duration>) -> Tally {
    let mut devices = JoinSet::new();
    for index in 0..fixture.devices.len() {
        devices.spawn(Device::new(fixture.clone(), index, rng.fork()).live());
    }
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        senders.spawn(Sender::new(fixture.clone(), number, rng.fork()).work());
    }
    let steps = break_things(fixture, rng, minutes).await;
    fixture.enter(Phase::Calm);
    let sent: Vec<Sent> = senders.join_all().await.into_iter().flatten().collect();
    let judge = Judge::new(fixture, sent);
    let mut ended = judge.wait_for_the_end().await;
    fixture.enter(Phase::Over);
    let records = devices.join_all().await;
    // Devices may send acknowledgements until they stop.
    judge.read_again(&mut ended).await;
    judge.judge(&ended, &records);
    Tally::of(&steps, judge.sent(), &ended, &records)
}

async fn break_things(fixture: &Fixture, rng: &mut fastrand::Rng, minutes: Option<Duration>) -> Vec<Step> {
    let begun = Instant::now();
    let mut done = Vec::new();
    loop {
        for step in Plan::draw(rng, minutes.is_some()) {
            fixture.take(&step).await;
            done.push(step);
            if !fixture.event_log.has_no_failures() {
                return done;
            }
        }
        if minutes.is_none_or(|minutes| begun.elapsed() >= minutes) {
            return done;
        }
    }
}
