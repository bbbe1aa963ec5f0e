//! Time from a publish until all three nodes serve it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Fixture;
use crate::connection::{Connection, post};
use crate::fleet::{App, RELEASES_PER_RESOURCE, RESOURCES_PER_APP, Tenant};
use crate::measure::{Rounds, percentile};
use crate::node::{ADMIN, Node, PASSWORD, Setup};
use crate::report::{Goal, Report};

const NODES: usize = 3;
/// Pause between two polls of a node. Polling without a pause would slow the node down.
const PAUSE: Duration = Duration::from_micros(500);
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
/// Default poll interval of a node.
const POLL_INTERVAL_MS: f64 = 250.0;

pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let with_hints = publish_many(fixture, "true", 1_000, fixture.plan.publishes)?;
    let goal = Goal::AtMost {
        must: 50.0,
        aim: 20.0,
    };
    add_row(
        report,
        "publish to visible on three nodes, p99",
        goal,
        &with_hints,
    );
    let without = publish_many(fixture, "false", 100_000, fixture.plan.publishes)?;
    let goal = Goal::AtMost {
        must: 1.1 * POLL_INTERVAL_MS,
        aim: POLL_INTERVAL_MS,
    };
    add_row(report, "the same without hints, p99", goal, &without);
    Ok(())
}

fn add_row(report: &mut Report, what: &str, goal: Goal, sorted_ms: &[f64]) {
    let p99 = percentile(sorted_ms, 99.0);
    let figure = Rounds {
        median: p99,
        lowest: percentile(sorted_ms, 0.0),
        highest: percentile(sorted_ms, 100.0),
    };
    let seen = format!(
        "{} publishes, p50 {:.1} ms",
        sorted_ms.len(),
        percentile(sorted_ms, 50.0)
    );
    report.figure(what, goal, (figure, "ms"), &seen);
}

/// Publishes repeatedly. Returns the sorted milliseconds from each send until the last node serves the release.
fn publish_many(
    fixture: &Fixture,
    hints: &str,
    first_version: u32,
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let nodes = (0..NODES)
        .map(|_| {
            Node::start(Setup {
                database_url: &fixture.large.url,
                settings: &[("SLIPWAY_HINTS", hints)],
                ..Setup::default()
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    for node in &nodes {
        node.wait_for_snapshot()?;
    }
    let token = sign_in(nodes[0].address)?;
    let mut publisher = Connection::open(nodes[0].address)?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let tenant = Tenant(fastrand::u32(0..fixture.large.tenants));
        let version = first_version + u32::try_from(number)?;
        times.push(publish_once(&nodes, &mut publisher, (tenant, version), &token)?.as_secs_f64() * 1e3);
        // Spreads the publishes over the nodes' poll intervals.
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..80)));
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn publish_once(
    nodes: &[Node],
    publisher: &mut Connection,
    (tenant, version): (Tenant, u32),
    token: &str,
) -> anyhow::Result<Duration> {
    let app = tenant.app(0);
    let package_name = app.package_name();
    let path = format!("/api/v1/tenants/{}/apps/{package_name}/releases", tenant.number());
    let mut watched = nodes
        .iter()
        .map(|node| Connection::open(node.address))
        .collect::<Result<Vec<_>, _>>()?;
    let body = release(&package_name, version);
    let check = up_to_date_check(tenant, app);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let watchers: Vec<_> = watched
            .iter_mut()
            .map(|connection| scope.spawn(|| wait_until_visible(connection, &check, version, began)))
            .collect();
        let answer = publisher.post(&path, Some(token), &body)?;
        ensure!(
            answer.status == 201,
            "a publish was answered with {}",
            answer.status
        );
        let mut last = Duration::ZERO;
        for watcher in watchers {
            last = last.max(watcher.join().expect("a watcher does not panic")?);
        }
        Ok(last)
    })
}

fn wait_until_visible(
    connection: &mut Connection,
    check: &[u8],
    version: u32,
    began: Instant,
) -> anyhow::Result<Duration> {
    let wanted = format!("\"version_code\":{version},");
    loop {
        let answer = connection.send(check)?;
        let elapsed = began.elapsed();
        if String::from_utf8_lossy(&answer.body).contains(&wanted) {
            return Ok(elapsed);
        }
        ensure!(elapsed < VISIBLE_WITHIN, "a publish did not become visible");
        std::thread::sleep(PAUSE);
    }
}

fn up_to_date_check(tenant: Tenant, app: App) -> Vec<u8> {
    let installed =
        (1..RESOURCES_PER_APP).map(|resource| (app.identifier(resource), json!(RELEASES_PER_RESOURCE)));
    let body = json!({
        "package_name": app.package_name(),
        "version_code": RELEASES_PER_RESOURCE,
        "device_id": "watcher",
        "old_versions": Value::Object(installed.collect()),
    });
    let body = body.to_string();
    post("/v1/check", Some(&tenant.device_key()), "application/json", &body)
}

/// Returns the body that publishes a version.
pub(super) fn release(identifier: &str, version: u32) -> Value {
    json!({
        "identifier": identifier,
        "version_code": version,
        "version_name": format!("9.0.{version}"),
        "download_url": "https://cdn.example.com/packages/package.bin",
        "size": 1_000_000,
        "md5": "0cc175b9c0f1b6a831c399e269772661",
        "publish": true,
    })
}

/// Signs in as the administrator and returns the access token.
pub(super) fn sign_in(address: SocketAddr) -> anyhow::Result<String> {
    let body = json!({"username": ADMIN, "password": PASSWORD});
    let answer = Connection::open(address)?.post("/api/v1/auth/login", None, &body)?;
    let answer = answer.json()?;
    let token = answer["access_token"]
        .as_str()
        .context("the administrator cannot sign in")?;
    Ok(token.to_owned())
}
