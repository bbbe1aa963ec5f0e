//! Round trips to PostgreSQL: a publish needs few of them, for the sake of distant databases.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::harness::{
    PACKAGE, TENANT, TestApp, app_fields, in_app, in_tenant, path_of, release_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::round_trips::{RoundTrip, RoundTripProxy};

/// Maximum number of round trips that a publish waits for.
const MOST: usize = 12;

/// Statements of calls alone: the catalog sync, which follows a publish, and the report of the node make none of them.
const OF_CALLS: [&str; 5] = [
    "FROM \"sessions\"",
    "FROM \"api_tokens\"",
    "\"idempotency_records\"",
    "FOR UPDATE",
    "INTO \"audit_events\"",
];

/// Returns the uses of connections by calls. Each lasts from the acquisition of a connection to its return.
fn uses_by_calls(trips: &[RoundTrip]) -> Vec<Vec<String>> {
    let mut open: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut uses = Vec::new();
    for trip in trips {
        let current = open.entry(trip.connection).or_default();
        // The pool pings a returned connection.
        if trip.text.is_empty() {
            uses.push(std::mem::take(current));
        } else if trip.is_of_call() {
            current.push(trip.text.clone());
        }
    }
    uses.extend(open.into_values());
    uses.retain(|texts| {
        texts
            .iter()
            .any(|text| OF_CALLS.iter().any(|mark| text.contains(mark)))
    });
    uses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_takes_few_round_trips_to_the_database() {
    let database = TestDatabase::postgres().await;
    let (proxy, url) = RoundTripProxy::start(&database.url).await;
    let app = TestApp::start_with(TestDatabase::at(&url).await, |config| {
        // Keeps the catalog sync from using its connection besides the calls.
        config.poll_interval_ms = 60_000;
        config.hints = false;
    })
    .await;
    let admin = app.tenant_admin(TENANT).await;
    let token = json!({"name": "ci", "role": "publisher"});
    let token = admin.post(&in_tenant("/api-tokens"), &token).await.expect(201);
    let pipeline = app.bearer(token["token"].as_str().unwrap());
    admin
        .post(&in_tenant("/apps"), &app_fields(PACKAGE))
        .await
        .expect(201);
    let create = in_app("/releases");
    let mut version = 0;
    let mut new_release = || {
        version += 1;
        with(release_fields(PACKAGE, version), json!({"publish": true}))
    };
    // Each connection prepares its statements once, so every connection must be used.
    for _ in 0..20 {
        admin.post(&create, &new_release()).await.expect(201);
        pipeline.post(&create, &new_release()).await.expect(201);
    }
    let mut seen = Vec::new();
    for (caller, key) in [(&admin, None), (&pipeline, None), (&pipeline, Some("a key"))] {
        let mut request = caller.request(Method::POST, &create).json(&new_release());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let release = counted(&proxy, async || caller.send(request).await.expect(201)).await;
        seen.push(("publish", release.1));
        let path = path_of(&release.0);
        for (name, method, call, body) in [
            ("pause", Method::POST, "/pause", json!({})),
            ("resume", Method::POST, "/resume", json!({})),
            ("rollout", Method::PUT, "/rollout", json!({"percent": 50})),
            (
                "recall",
                Method::POST,
                "/recall",
                json!({"mode": "stop", "reason": "crashes"}),
            ),
        ] {
            let request = caller.request(method, &format!("{path}{call}")).json(&body);
            seen.push((
                name,
                counted(&proxy, async || caller.send(request).await.expect(200))
                    .await
                    .1,
            ));
        }
    }
    for (name, uses) in seen {
        let count: usize = uses.iter().map(Vec::len).sum();
        assert!(count <= MOST, "{name} takes {count} round trips: {uses:#?}");
        assert!(count >= 5, "{name}: {uses:#?}");
    }
}

/// Makes a call alone. Returns its answer, and the uses of connections during it.
async fn counted<T>(proxy: &RoundTripProxy, call: impl AsyncFnOnce() -> T) -> (T, Vec<Vec<String>>) {
    proxy.take();
    let answer = call().await;
    (answer, uses_by_calls(&proxy.take()))
}
