//! Housekeeping: one node at a time deletes expired objects.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;
use slipway::clock::Clock;
use slipway::services::housekeeping::{CleanupReport, clean};

use super::harness::{CHUKU, Caller, TestApp, in_app, in_tenant, push_fields, release_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

const HOLDER: &str = "this test";
const DEADLINE: Duration = Duration::from_secs(30);

async fn only_the_holder_of_the_lease_cleans(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let context = &app.running.context;
    become_the_holder(&app).await;
    assert_eq!(clean(context, "another node").await.unwrap(), None);
    assert!(clean(context, HOLDER).await.unwrap().is_some());
    // The lease was just renewed, so its holder keeps it for the next minutes.
    pass(&app, TimeDelta::minutes(4));
    assert_eq!(clean(context, "another node").await.unwrap(), None);
    pass(&app, TimeDelta::minutes(1));
    assert!(clean(context, "another node").await.unwrap().is_some());
    assert_eq!(clean(context, HOLDER).await.unwrap(), None);
}

async fn sessions_that_have_ended_are_removed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    become_the_holder(&app).await;
    let now = app.clock.now();
    app.platform_admin().await;
    app.platform_admin().await;
    app.clock.set(now + TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!(cleaned(&app).await.sessions, 0);
    let living = app.platform_admin().await;
    app.clock.set(now + TimeDelta::days(30));
    assert_eq!(cleaned(&app).await.sessions, 2);
    living.get("/api/v1/me").await.expect(200);
    assert_eq!(cleaned(&app).await.sessions, 0);
}

async fn idempotency_records_are_removed_after_a_day(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    become_the_holder(&app).await;
    let now = app.clock.now();
    create(&pipeline, 1).await;
    pass(&app, TimeDelta::hours(12));
    create(&pipeline, 2).await;
    app.clock.set(now + TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(cleaned(&app).await.idempotency_records, 0);
    assert_eq!(create(&pipeline, 1).await, "true");
    app.clock.set(now + TimeDelta::hours(24));
    assert_eq!(cleaned(&app).await.idempotency_records, 1);
    assert_eq!(create(&pipeline, 2).await, "true");
    assert_eq!(create(&pipeline, 1).await, "");
}

async fn the_audit_is_kept(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let before = merchant.audit().await;
    become_the_holder(&app).await;
    pass(&app, TimeDelta::days(10_000));
    assert!(cleaned(&app).await.sessions > 0);
    let again = app.platform_admin().await;
    let after = again.get("/api/v1/tenants/10000000/audit").await.expect(200);
    assert_eq!(after["items"], json!(before));
}

async fn pushes_are_removed_when_their_days_are_over(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.push_retention_days = 2).await;
    let path = push_one(&app).await;
    become_the_holder(&app).await;
    // A preview lasts ten minutes.
    let expires = sent_at(&app, &path).await + TimeDelta::minutes(10);
    app.clock.set(expires + TimeDelta::days(2));
    assert_eq!(cleaned(&app).await.pushes, 0);
    app.platform_admin().await.get(&path).await.expect(200);
    app.clock
        .set(expires + TimeDelta::days(2) + TimeDelta::seconds(1));
    // Each node ends expired pushes within seconds, in its own task.
    until("the push is removed", DEADLINE, async || {
        cleaned(&app).await.pushes == 1
    })
    .await;
    app.platform_admin().await.get(&path).await.expect(404);
}

async fn pushes_are_kept_for_ever_where_no_days_are_set(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.push_retention_days = 0).await;
    let path = push_one(&app).await;
    become_the_holder(&app).await;
    pass(&app, TimeDelta::days(10_000));
    let admin = app.platform_admin().await;
    until("the push has expired", DEADLINE, async || {
        admin.get(&path).await.expect(200)["targets"][0]["state"] == "expired"
    })
    .await;
    assert_eq!(cleaned(&app).await.pushes, 0);
    admin.get(&path).await.expect(200);
}

/// Sends a push, and returns its path.
async fn push_one(app: &TestApp) -> String {
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    let fields = push_fields(&["A"]);
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &fields)
        .await
        .expect(201);
    in_tenant(&format!("/pushes/{}", push["id"].as_str().unwrap()))
}

async fn sent_at(app: &TestApp, path: &str) -> DateTime<Utc> {
    let push = app.platform_admin().await.get(path).await.expect(200);
    push["created_at"].as_str().unwrap().parse().unwrap()
}

/// Takes the lease from the server's own task, which has held it since the start.
async fn become_the_holder(app: &TestApp) {
    while clean(&app.running.context, HOLDER).await.unwrap().is_none() {
        pass(app, TimeDelta::minutes(5));
    }
}

async fn cleaned(app: &TestApp) -> CleanupReport {
    // The lease expires when the clock jumps. The server's own task takes it at most once a minute.
    clean(&app.running.context, HOLDER).await.unwrap().unwrap()
}

fn pass(app: &TestApp, time: TimeDelta) {
    app.clock.set(app.clock.now() + time);
}

/// Requests the creation of a release with a new key. Returns the header that marks a replay.
async fn create(caller: &Caller, version_code: i64) -> String {
    let key = version_code.to_string();
    let answer = caller
        .call_with(
            ("Idempotency-Key", &key),
            Method::POST,
            &in_app("/releases"),
            &release_fields(CHUKU, version_code),
        )
        .await;
    assert!((200..300).contains(&answer.status), "{}", answer.text);
    answer.header("idempotency-replayed").to_owned()
}

on_both_databases!(
    only_the_holder_of_the_lease_cleans,
    sessions_that_have_ended_are_removed,
    idempotency_records_are_removed_after_a_day,
    the_audit_is_kept,
    pushes_are_removed_when_their_days_are_over,
    pushes_are_kept_for_ever_where_no_days_are_set,
);
