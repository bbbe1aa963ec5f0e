//! Overload of the server, and expensive calls during checks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Fixture;
use super::publish::{release, sign_in};
use crate::connection::Connection;
use crate::fleet::Tenant;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::{ADMIN, Node};
use crate::process::settle;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

const TRIED_CONNECTIONS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Duration of the trial with each number of connections.
const TRIAL: Duration = Duration::from_secs(2);
/// Share of the peak rate that counts as saturated.
const SATURATED: f64 = 0.97;
/// Number of connections that sign in, and of those that publish. Each makes one call after the other.
const LOGIN_CONNECTIONS: usize = 4;
const PUBLISH_CONNECTIONS: usize = 2;

/// Compares the number of connections that saturates the server with five times as many, in turn.
pub(super) fn measure_overload(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let contestant = Contestant::node(node, &requests.path);
    requests.write()?;
    let saturating = saturation(contestant)?;
    let memory_before = node.process.resident_bytes()?;
    let (mut peak, mut over) = (Vec::new(), Vec::new());
    for _ in 0..fixture.plan.rounds {
        requests.write()?;
        peak.push(Sample::take(contestant, saturating, fixture.plan.load)?);
        settle();
        over.push(Sample::take(contestant, 5 * saturating, fixture.plan.load)?);
        settle();
    }
    let grown = node.process.resident_bytes()?.saturating_sub(memory_before);
    let seen = format!(
        "{} connections against {saturating}: {:.0} against {:.0} requests/s, p99 {:.1} against {:.1} ms, memory + {:.1} MiB",
        5 * saturating,
        Rounds::rate(&over).median,
        Rounds::rate(&peak).median,
        Rounds::p99_ms(&over).median,
        Rounds::p99_ms(&peak).median,
        grown as f64 / f64::from(1 << 20),
    );
    let ratio = Rounds::ratio(&over, &peak, |sample| sample.rate);
    let goal = Goal::AtLeast { must: 0.9, aim: 1.0 };
    report.figure(
        "rate under five times the saturating connections, of its peak",
        goal,
        (ratio, ""),
        &seen,
    );
    Ok(())
}

/// Returns the smallest number of connections that reaches the saturated rate.
fn saturation(contestant: Contestant<'_>) -> anyhow::Result<usize> {
    let mut rates = Vec::new();
    for connections in TRIED_CONNECTIONS {
        rates.push((connections, Sample::take(contestant, connections, TRIAL)?.rate));
    }
    let peak = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let saturating = rates.iter().find(|(_, rate)| *rate >= peak * SATURATED);
    Ok(saturating.context("the peak itself saturates")?.0)
}

/// Compares checks alone with checks during logins and publishes, in turn.
pub(super) fn measure_costly(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    let requests = fixture.requests(&fixture.large, Spread::Uniform, Face::Gateway);
    let contestant = Contestant::node(node, &requests.path);
    let token = sign_in(node.address)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (logins, publishes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..fixture.plan.rounds {
        requests.write()?;
        alone.push(Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load)?);
        settle();
        requests.write()?;
        let hammer = Hammer {
            address: node.address,
            tenants: fixture.large.tenants,
            token: &token,
            logins: &logins,
            publishes: &publishes,
            is_over: AtomicBool::new(false),
        };
        beside.push(hammer.during(|| Sample::take(contestant, wrk::CONNECTIONS, fixture.plan.load))?);
        settle();
    }
    let seconds = fixture.plan.rounds as f64 * fixture.plan.load.as_secs_f64();
    let seen = format!(
        "{:.0} against {:.0} checks/s beside {:.1} logins/s and {:.1} publishes/s; p99 {:.1} against {:.1} ms",
        Rounds::rate(&beside).median,
        Rounds::rate(&alone).median,
        logins.load(Ordering::Relaxed) as f64 / seconds,
        publishes.load(Ordering::Relaxed) as f64 / seconds,
        Rounds::p99_ms(&beside).median,
        Rounds::p99_ms(&alone).median,
    );
    let ratio = Rounds::ratio(&beside, &alone, |sample| sample.rate);
    let goal = Goal::AtLeast { must: 0.9, aim: 1.0 };
    report.figure(
        "rate while logins and publishes are hammered, of that without",
        goal,
        (ratio, ""),
        &seen,
    );
    Ok(())
}

/// Threads that make expensive calls without a pause.
struct Hammer<'a> {
    address: SocketAddr,
    tenants: u32,
    token: &'a str,
    logins: &'a AtomicUsize,
    publishes: &'a AtomicUsize,
    is_over: AtomicBool,
}

impl Hammer<'_> {
    fn during<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let mut hammers = Vec::new();
            hammers.extend((0..LOGIN_CONNECTIONS).map(|_| scope.spawn(|| self.sign_in_wrongly())));
            hammers.extend((0..PUBLISH_CONNECTIONS).map(|_| scope.spawn(|| self.publish())));
            let acted = act();
            self.is_over.store(true, Ordering::Relaxed);
            for hammer in hammers {
                hammer.join().expect("a hammer does not panic")?;
            }
            acted
        })
    }

    fn sign_in_wrongly(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address)?;
        while !self.is_over.load(Ordering::Relaxed) {
            let body = json!({"username": ADMIN, "password": "a wrong password"});
            let answer = connection.post("/api/v1/auth/login", None, &body)?;
            let is_expected = matches!(answer.status, 401 | 429 | 503);
            ensure!(is_expected, "a login was answered with {}", answer.status);
            self.logins
                .fetch_add(usize::from(answer.status == 401), Ordering::Relaxed);
        }
        Ok(())
    }

    fn publish(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address)?;
        while !self.is_over.load(Ordering::Relaxed) {
            let tenant = Tenant(fastrand::u32(0..self.tenants));
            let version = fastrand::u32(1_000_000..2_000_000_000);
            let app = tenant.app(0).package_name();
            let mut body = release(&format!("{app}.hammered"), version);
            // Targets no checking device, so that answers stay the same.
            body["device_types"] = json!(["none"]);
            let path = format!("/api/v1/tenants/{}/apps/{app}/releases", tenant.number());
            let answer = connection.post(&path, Some(self.token), &body)?;
            let is_expected = matches!(answer.status, 201 | 429 | 503);
            ensure!(is_expected, "a publish was answered with {}", answer.status);
            self.publishes
                .fetch_add(usize::from(answer.status == 201), Ordering::Relaxed);
        }
        Ok(())
    }
}
