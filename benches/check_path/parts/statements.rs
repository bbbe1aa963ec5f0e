//! Statements that PostgreSQL receives during checks. There must be no more than without checks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Fixture;
use crate::measure::{Contestant, Rounds, Sample};
use crate::node::Node;
use crate::report::{Goal, Report};
use crate::requests::{Face, Spread};
use crate::wrk;

/// Number of calls by statement.
type Calls = BTreeMap<String, u64>;

/// Counts the statements during many checks, and for the same time without checks.
pub(super) fn measure(fixture: &Fixture, node: &Node, report: &mut Report) -> anyhow::Result<()> {
    reset(fixture)?;
    let checks_before = node.answered_checks()?;
    let began = Instant::now();
    let mut checks = 0.0;
    while checks < fixture.plan.checks as f64 {
        for face in [Face::Gateway, Face::Native] {
            let requests = fixture.requests(&fixture.large, Spread::Uniform, face);
            requests.write()?;
            Sample::take(
                Contestant::node(node, &requests.path),
                wrk::CONNECTIONS,
                fixture.plan.load,
            )?;
        }
        checks = node.answered_checks()? - checks_before;
    }
    let lasted = began.elapsed();
    let under_load = calls(fixture)?;
    reset(fixture)?;
    std::thread::sleep(lasted);
    let idle = calls(fixture)?;
    report.figure(
        "statements in PostgreSQL during checks against none",
        Goal::AtMost { must: 1.1, aim: 1.02 },
        (Rounds::of([total(&under_load) / total(&idle)]), "×"),
        &format!("{checks:.0} checks in {:.0} s", lasted.as_secs_f64()),
    );
    report.note(listing(&under_load, &idle, lasted));
    Ok(())
}

fn total(calls: &Calls) -> f64 {
    calls.values().sum::<u64>() as f64
}

fn listing(under_load: &Calls, idle: &Calls, lasted: Duration) -> String {
    let mut statements: Vec<_> = under_load.keys().chain(idle.keys()).collect();
    statements.sort();
    statements.dedup();
    let count = |calls: &Calls, statement: &str| calls.get(statement).copied().unwrap_or(0);
    let mut lines = vec![
        format!(
            "Statements in {:.0} s, with checks and without:\n",
            lasted.as_secs_f64()
        ),
        "| with | without | statement |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    lines.extend(statements.into_iter().map(|statement| {
        let shown: String = statement.chars().take(110).collect();
        let (with, without) = (count(under_load, statement), count(idle, statement));
        format!("| {with} | {without} | `{shown}` |")
    }));
    lines.join("\n")
}

fn reset(fixture: &Fixture) -> anyhow::Result<()> {
    fixture
        .postgres
        .execute(&fixture.large.name, "SELECT pg_stat_statements_reset()")
        .map(drop)
}

fn calls(fixture: &Fixture) -> anyhow::Result<Calls> {
    let query = "SELECT s.calls, regexp_replace(s.query, '\\s+', ' ', 'g') FROM pg_stat_statements s \
                 JOIN pg_database d ON d.oid = s.dbid \
                 WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'";
    let rows = fixture.postgres.execute(&fixture.large.name, query)?;
    let mut calls = Calls::new();
    for (count, statement) in rows.lines().filter_map(|line| line.split_once('\t')) {
        *calls.entry(statement.to_owned()).or_default() += count.parse::<u64>()?;
    }
    Ok(calls)
}
