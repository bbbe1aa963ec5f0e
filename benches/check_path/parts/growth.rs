//! Cost of a change by the number of releases of its app, and memory of superseded releases.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Fixture;
use super::publish::{release, sign_in};
use crate::connection::{Connection, request};
use crate::growth_data::{Shape, TENANT, fill, identifier};
use crate::measure::Rounds;
use crate::node::Node;
use crate::process::{settle, starts_with_cpu_seconds};
use crate::report::{Goal, Report};

/// Numbers of releases. The first is the reference.
const SIZES: [u32; 3] = [100, 10_000, 100_000];
const SMOKE_SIZES: [u32; 3] = [100, 1_000, 2_000];
/// Counted writes of each kind, after an equal number for warming up.
const WRITES: u32 = 100;
const KINDS: [&str; 5] = ["publish", "pause", "resume", "rollout", "recall"];
const MIB: f64 = 1_048_576.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

/// Processor time of a write, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Cost {
    node_ms: f64,
    /// Of the database server; 0 for SQLite, which is part of the node.
    server_ms: f64,
}

impl Cost {
    fn total(self) -> f64 {
        self.node_ms + self.server_ms
    }
}

pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for shape in [Shape::Superseded, Shape::Targeted] {
            let mut costs = Vec::new();
            for size in sizes(fixture) {
                costs.push((size, cost_of_writes(fixture, backend, shape, size)?));
            }
            add_rows(report, backend, shape, &costs);
        }
    }
    Ok(())
}

fn sizes(fixture: &Fixture) -> [u32; 3] {
    if fixture.plan.releases <= 1_000 {
        SMOKE_SIZES
    } else {
        SIZES
    }
}

fn add_rows(report: &mut Report, backend: Backend, shape: Shape, costs: &[(u32, Vec<Cost>)]) {
    let Some(((smallest, base), larger)) = costs.split_first() else {
        return;
    };
    for (size, cost) in larger {
        let ratios = cost
            .iter()
            .zip(base)
            .map(|(cost, base)| cost.total() / base.total());
        let each = KINDS.iter().zip(cost).zip(base).map(|((kind, cost), base)| {
            format!(
                "{kind} {:.2} + {:.2} ms against {:.2} + {:.2} ms",
                cost.node_ms, cost.server_ms, base.node_ms, base.server_ms
            )
        });
        let goal = Goal::AtMost { must: 1.5, aim: 1.1 };
        let what = format!(
            "cost of a write at {size} {} releases against {smallest}, {backend:?}",
            shape.name()
        );
        let seen = each.collect::<Vec<_>>().join("; ");
        report.figure(
            &what,
            goal,
            (Rounds::of(ratios), "×"),
            &format!("node + database: {seen}"),
        );
    }
}

/// Measures each kind of write on an app with this number of releases.
fn cost_of_writes(fixture: &Fixture, backend: Backend, shape: Shape, size: u32) -> anyhow::Result<Vec<Cost>> {
    eprintln!(
        "{backend:?}: filling an app with {size} {} releases",
        shape.name()
    );
    let directory = tempfile::tempdir()?;
    let name = format!("growth_{}_{size}", shape.name());
    let url = match backend {
        Backend::Sqlite => format!("sqlite://{}", directory.path().join("slipway.db").display()),
        Backend::Postgres => fixture.postgres.create_database(&name)?,
    };
    fill(&url, shape, size)?;
    if backend == Backend::Postgres {
        fixture.postgres.execute(&name, "VACUUM ANALYZE")?;
    }
    let node = Node::on_one_core(&url)?;
    let mut writer = Writer::new(&node, shape, size)?;
    writer.write_all(WRITES / 5, |_, _| Ok(()))?;
    node.wait_for_snapshot()?;
    settle();
    let server = format!("postgres: slipway {name} ");
    let mut costs = vec![
        Cost {
            node_ms: 0.0,
            server_ms: 0.0
        };
        KINDS.len()
    ];
    let used = || anyhow::Ok((node.process.cpu_seconds()?, starts_with_cpu_seconds(&server)?));
    let mut before = used()?;
    writer.write_all(WRITES, |kind, count| {
        let now = used()?;
        let per_write = |seconds: f64| seconds * 1e3 / f64::from(count);
        costs[kind] = Cost {
            node_ms: per_write(now.0 - before.0),
            server_ms: per_write(now.1 - before.1),
        };
        before = now;
        Ok(())
    })?;
    Ok(costs)
}

/// Caller that changes one resource of the app.
struct Writer {
    connection: Connection,
    token: String,
    identifier: String,
    shape: Shape,
    next_version: u32,
}

impl Writer {
    fn new(node: &Node, shape: Shape, size: u32) -> anyhow::Result<Self> {
        let resource = match shape {
            Shape::Superseded => 0,
            Shape::Targeted => size / 20,
        };
        Ok(Self {
            connection: Connection::open(node.address)?,
            token: sign_in(node.address)?,
            identifier: identifier(resource),
            shape,
            next_version: 1_000_000,
        })
    }

    /// Makes `count` writes of each kind, and calls `done` after each kind.
    fn write_all(
        &mut self,
        count: u32,
        mut done: impl FnMut(usize, u32) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.publish()?);
        }
        done(0, count)?;
        let rollout = json!({"percent": 50});
        let recall = json!({"mode": "stop", "reason": "a benchmark"});
        let kinds = [
            ("POST", "pause", json!({})),
            ("POST", "resume", json!({})),
            ("PUT", "rollout", rollout),
            ("POST", "recall", recall),
        ];
        for (kind, (method, call, body)) in kinds.iter().enumerate() {
            for id in &ids {
                self.call(method, &format!("/{id}/{call}"), body, 200)?;
            }
            done(kind + 1, count)?;
        }
        Ok(())
    }

    fn publish(&mut self) -> anyhow::Result<String> {
        self.next_version += 1;
        let mut body = release(&self.identifier, self.next_version);
        if self.shape == Shape::Targeted {
            body["device_types"] = json!(["10013"]);
        }
        let made = self.call("POST", "", &body, 201)?;
        let id = made["id"].as_str().context("a release has an id")?;
        Ok(id.to_owned())
    }

    fn call(&mut self, method: &str, path: &str, body: &Value, expected: u16) -> anyhow::Result<Value> {
        let app = TENANT.app(0).package_name();
        let path = format!("/api/v1/tenants/{}/apps/{app}/releases{path}", TENANT.number());
        let call = request(
            method,
            &path,
            Some(&self.token),
            "application/json",
            &body.to_string(),
        );
        let answer = self.connection.send(&call)?;
        ensure!(
            answer.status == expected,
            "{method} {path} was answered with {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }
}

/// Memory of a node with 10,000 superseded releases against one with ten.
pub(super) fn measure_memory(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let mut resident = Vec::new();
    let mut seen = Vec::new();
    for size in [10, 10_000] {
        let name = format!("memory_{size}");
        let url = fixture.postgres.create_database(&name)?;
        fill(&url, Shape::Superseded, size)?;
        let node = Node::on_one_core(&url)?;
        settle();
        let bytes = node.process.resident_bytes()? as f64;
        seen.push(format!(
            "{size} releases: resident {:.1} MiB, {:.0} loaded, {:.0} prepared bytes",
            bytes / MIB,
            node.metric("slipway_catalog_releases", "")?,
            node.metric("slipway_catalog_prepared_bytes", "")?,
        ));
        resident.push(bytes);
    }
    report.figure(
        "memory with 10,000 superseded releases against 10",
        Goal::AtMost { must: 1.2, aim: 1.05 },
        (Rounds::of([resident[1] / resident[0]]), "×"),
        &seen.join("; "),
    );
    Ok(())
}
