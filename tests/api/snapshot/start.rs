//! A node that starts while its PostgreSQL is down.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::harness::{PACKAGE, check_fields, in_tenant, with};
use super::{Fixture, StoppedNode, node};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::postgres::PostgresServer;

/// Time limit for reconnecting to the database.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "the node does not come to it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A snapshot of a node on either database starts a node whose PostgreSQL is down: the file does not depend on the
/// database.
async fn a_node_without_its_database_answers_as_the_one_before(database: TestDatabase) {
    let (stopped, before) = Fixture::set(database).await.stop().await;
    let fixture = stopped.start_again(TestDatabase::unavailable().await).await;
    assert_eq!(fixture.answers_at(&fixture.app).await, before);

    let ready = fixture.app.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert_eq!(ready["database"], "unreachable", "{ready}");
    assert_eq!(ready["catalog"]["releases"], 3, "{ready}");
    let admin = fixture.merchant.admin.at(&fixture.app);
    let write = json!({"package_name": "com.hema.new", "app_name": "New"});
    admin
        .post(&in_tenant("/apps"), &write)
        .await
        .problem(503, "unavailable");
    admin.get(&in_tenant("/apps")).await.problem(503, "unavailable");
}

/// A halt may have been ordered since the snapshot was saved.
async fn a_snapshot_is_as_old_as_the_comparison_before_it(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let fixture = stopped.start_again(TestDatabase::unavailable().await).await;
    let device = fixture.merchant.device.at(&fixture.app);
    let check = async || device.post("/v1/check", &check_fields()).await;
    let fresh = check().await;
    assert_eq!(fresh.header("slipway-stale"), "");
    assert_eq!(fresh.body["data"][0]["version_code"], 240);

    fixture.app.set_clock("2026-03-02T02:15:01Z");
    let later = check().await;
    assert_eq!(later.header("slipway-stale"), "901");
    assert_eq!(
        later.body["data"][0]["version_code"], 230,
        "partial rollouts are withheld"
    );
    let allow_listed = with(check_fields(), json!({"device_id": "PDA002"}));
    let allow_listed = device.post("/v1/check", &allow_listed).await.expect(200);
    assert_eq!(allow_listed["data"][0]["version_code"], 240);
    let ready = fixture.app.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready["catalog"]["stale"], true, "{ready}");

    // A stale state is not saved again as a current one.
    fixture.app.running.stop().await.unwrap();
    assert_eq!(super::files_in(fixture.data_dir.path()).len(), 1);
}

async fn without_any_snapshot_checks_are_refused(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    fs::remove_dir_all(stopped.data_dir.path().join("snapshots")).unwrap();
    refuses_checks(stopped).await;
}

async fn a_snapshot_made_with_another_key_is_not_accepted(database: TestDatabase) {
    let (stopped, _) = Fixture::set(database).await.stop().await;
    let another = super::super::harness::TestApp::start_with(TestDatabase::unavailable().await, |config| {
        stopped.data_dir.path().clone_into(&mut config.data_dir);
        config.snapshot_interval_s = 86_400;
        config.secret_key = Some("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".to_owned());
    })
    .await;
    another.anyone().get("/readyz").await.expect(503);
    let device = stopped.merchant.device.at(&another);
    device
        .post("/v1/check", &check_fields())
        .await
        .problem(503, "unavailable");
}

async fn refuses_checks(stopped: StoppedNode) {
    let fixture = stopped.start_again(TestDatabase::unavailable().await).await;
    let ready = fixture.app.anyone().get("/readyz").await.expect(503);
    assert_eq!(ready["status"], "unready", "{ready}");
    for (status, _, body) in fixture.answers_at(&fixture.app).await {
        // The gateway reports it in its own format, but never with an empty list.
        assert!(
            status == 503 || body.get("error_response").is_some(),
            "{status} {body}"
        );
    }
}

async fn an_older_snapshot_starts_a_node_when_the_newer_ones_are_damaged(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let database = fixture.app.database.again().await;
    let (stopped, _) = fixture.stop().await;
    let oldest_bytes = fs::read(&stopped.files()[0]).unwrap();
    // Its file would be deleted with the database of the first node.
    let _first = stopped.database.again().await;
    let node = node(database, stopped.data_dir.path()).await;
    let admin = stopped.merchant.admin.at(&node);
    let off = json!({"enabled": false});
    admin
        .patch(&in_tenant(&format!("/apps/{PACKAGE}")), &off)
        .await
        .expect(200);
    node.running.stop().await.unwrap();
    let files = stopped.files();
    let (oldest, newer) = files.split_first().unwrap();
    assert_eq!(fs::read(oldest).unwrap(), oldest_bytes);
    assert!(!newer.is_empty());
    for file in newer {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    }

    let StoppedNode {
        merchant, data_dir, ..
    } = stopped;
    let node = super::node(TestDatabase::unavailable().await, data_dir.path()).await;
    let answer = merchant.device.at(&node).post("/v1/check", &check_fields()).await;
    // The journal after the older snapshot records that the app was switched off.
    assert_eq!(answer.expect(200)["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_catches_up_when_its_database_comes_back() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let (stopped, before) = Fixture::set(TestDatabase::of(&server).await).await.stop().await;
    let database = stopped.database.again().await;
    server.stop();

    let fixture = stopped.start_again(database).await;
    assert_eq!(fixture.answers_at(&fixture.app).await, before);
    let admin = fixture.merchant.admin.at(&fixture.app);
    let apps = in_tenant("/apps");
    let write = json!({"package_name": "com.hema.new", "app_name": "New"});
    admin.post(&apps, &write).await.problem(503, "unavailable");

    server.start_again();
    until(async || admin.get(&apps).await.status == 200).await;
    admin.post(&apps, &write).await.expect(201);
    let of_new = with(check_fields(), json!({"package_name": "com.hema.new"}));
    let answer = fixture
        .merchant
        .device
        .at(&fixture.app)
        .post("/v1/check", &of_new)
        .await;
    assert_eq!(answer.expect(200)["msg_code"], "", "one's own write is served");
    // A probe detects that writes work again.
    until(async || fixture.app.anyone().get("/readyz").await.expect(200)["status"] == "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_with_nothing_begins_when_its_database_comes() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let database = TestDatabase::of(&server).await;
    server.stop();
    let data_dir = tempfile::TempDir::new().unwrap();
    let app = node(database, data_dir.path()).await;
    app.anyone().get("/readyz").await.expect(503);
    let login =
        json!({"username": super::super::harness::ADMIN, "password": super::super::harness::PASSWORD});
    let refused = app.anyone().post("/api/v1/auth/login", &login).await;
    refused.problem(503, "unavailable");

    // The database is migrated, gets its first administrator, and is followed.
    server.start_again();
    until(async || app.anyone().get("/readyz").await.status == 200).await;
    let merchant = app.merchant().await;
    merchant.published(super::CHUKU, 230).await;
    assert_eq!(merchant.offered(0).await, [230]);
}

on_both_databases!(
    a_node_without_its_database_answers_as_the_one_before,
    a_snapshot_is_as_old_as_the_comparison_before_it,
    without_any_snapshot_checks_are_refused,
    a_snapshot_made_with_another_key_is_not_accepted,
    an_older_snapshot_starts_a_node_when_the_newer_ones_are_damaged,
);
