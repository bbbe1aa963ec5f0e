//! Highest rate of publishes at which checks keep 90 % of their rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::Fixture;
use super::publish::{release, sign_in};
use crate::connection::Connection;
use crate::fleet::Tenant;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::Node;
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

/// Publishes per second to try, in ascending order.
const RATES: [f64; 7] = [10.0, 16.0, 25.0, 50.0, 100.0, 200.0, 400.0];
/// Number of callers that share a rate.
const PUBLISHERS: u32 = 8;
const KEPT: f64 = 0.9;

pub(super) fn measure(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let contestant = Contestant::node(node, &requests.path);
    let token = sign_in(node.address)?;
    let (mut best, mut seen) = (0.0, Vec::new());
    for rate in RATES {
        let (mut ratios, mut published) = (Vec::new(), Vec::new());
        for _ in 0..fixture.plan.rounds {
            requests.write()?;
            let alone = Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?;
            settle();
            requests.write()?;
            let load = Publishes::new(fixture, node, &token, rate);
            let began = Instant::now();
            let beside = load.during(|| Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load))?;
            published.push(load.done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64());
            ratios.push(beside.rate / alone.rate);
            settle();
        }
        let (kept, reached) = (Rounds::of(ratios).median, Rounds::of(published).median);
        seen.push(format!("{reached:.0}/s: {:.0} %", kept * 100.0));
        if kept < KEPT {
            break;
        }
        best = reached;
    }
    report.figure(
        "publishes beside which checks keep 90 % of their rate",
        Goal::AtLeast {
            must: 16.0,
            aim: 200.0,
        },
        (Rounds::of([best]), "/s"),
        &format!("checks that are left: {}", seen.join(", ")),
    );
    Ok(())
}

/// Publishes at a constant rate, spread over the tenants.
struct Publishes<'a> {
    node: &'a Node,
    token: &'a str,
    tenants: u32,
    interval: Duration,
    done: AtomicU64,
    is_over: AtomicBool,
}

impl<'a> Publishes<'a> {
    fn new(fixture: &Fixture, node: &'a Node, token: &'a str, rate: f64) -> Self {
        Self {
            node,
            token,
            tenants: fixture.large.tenants,
            interval: Duration::from_secs_f64(f64::from(PUBLISHERS) / rate),
            done: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn during<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|number| scope.spawn(move || self.publish(number)))
                .collect();
            let acted = act();
            self.is_over.store(true, Ordering::Relaxed);
            for publisher in publishers {
                publisher.join().expect("a publisher does not panic")?;
            }
            acted
        })
    }

    fn publish(&self, number: u32) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.node.address)?;
        // The callers' schedules are spread over the interval.
        let mut due = Instant::now() + self.interval * number / PUBLISHERS;
        loop {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            due += self.interval;
            let tenant = Tenant(fastrand::u32(0..self.tenants));
            let app = tenant.app(0).package_name();
            let version = fastrand::u32(1_000_000..2_000_000_000);
            let mut body = release(&format!("{app}.published"), version);
            // Targets no checking device, so that answers stay the same.
            body["device_types"] = json!(["none"]);
            body["force"] = json!(true);
            let path = format!("/api/v1/tenants/{}/apps/{app}/releases", tenant.number());
            let answer = connection.post(&path, Some(self.token), &body)?;
            let is_expected = matches!(answer.status, 201 | 429 | 503);
            ensure!(is_expected, "a publish was answered with {}", answer.status);
            self.done
                .fetch_add(u64::from(answer.status == 201), Ordering::Relaxed);
        }
    }
}
