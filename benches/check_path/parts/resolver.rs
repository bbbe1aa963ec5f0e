//! The resolver alone, on more apps than fit into the processor's caches.

use std::hint::black_box;
use std::time::Instant;

use fastrand::Rng;
use slipway_resolver::{PublishedApp, decide};

use crate::arguments::Plan;
use crate::fleet::{RELEASES_PER_RESOURCE, RESOURCES_PER_APP};
use crate::measure::Rounds;
use crate::report::{Goal, Report};
use slipway_test_support::sample_app::{app, check, check_context};

pub(super) fn measure(plan: Plan, report: &mut Report) {
    let apps = shuffled_apps(plan.releases / (RESOURCES_PER_APP * RELEASES_PER_RESOURCE));
    let rounds: Vec<_> = (0..=plan.rounds).map(|_| time_each(&apps)).collect();
    let goal = Goal::AtMost { must: 1.0, aim: 0.5 };
    // The first round loads the pages.
    let figure = Rounds::of(rounds.into_iter().skip(1));
    let seen = format!("{} apps in turn, each once", apps.len());
    report.figure(
        "resolver alone, 5 resources of 10 releases, caches cold",
        goal,
        (figure, "µs"),
        &seen,
    );
}

fn shuffled_apps(count: u32) -> Vec<PublishedApp> {
    let mut apps: Vec<_> = (0..count)
        .map(|_| app(RESOURCES_PER_APP as usize, RELEASES_PER_RESOURCE as usize))
        .collect();
    Rng::with_seed(1).shuffle(&mut apps);
    apps
}

/// Returns the microseconds for deciding one check.
fn time_each(apps: &[PublishedApp]) -> f64 {
    let (check, check_context) = (check(), check_context());
    let began = Instant::now();
    for app in apps {
        black_box(decide(black_box(app), &check, &check_context));
    }
    began.elapsed().as_secs_f64() * 1e6 / apps.len() as f64
}
