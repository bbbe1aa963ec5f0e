//! Records of devices that checks make. They are written in the background.

use std::time::Instant;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use slipway::app::Running;
use slipway::services::device_records::DeviceRecordStatus;

use super::harness::{
    CHUKU, Caller, DEADLINE, Merchant, NOW, PACKAGE, TestApp, app_fields, check_fields, every_item, in_app,
    in_tenant, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Each device has its own time of midnight. For those here it is not between these two instants.
const LATER: &str = "2026-03-02T02:00:30Z";
const NEXT_DAY: &str = "2026-03-03T02:00:30Z";

/// Creates a merchant whose reader's credential stays valid when the clock is set.
async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    Merchant {
        admin: app.pipeline(&merchant.admin, "publisher").await,
        ..merchant
    }
}

async fn a_check_makes_a_record(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let own = json!({"device_type": "10013", "org_info": {"l1Code": "HM"}, "old_versions": {CHUKU: 239}});
    check(&merchant.device, "A", own).await;
    assert_eq!(
        recorded(&merchant, "A").await,
        json!({"device_id": "A", "project_id": null, "device_type": "10013", "org_info": [{"l1Code": "HM"}],
        "attributes": null, "enrolled": false, "connected": false, "first_seen_at": NOW, "last_seen_at": NOW, "installs": [
            {"package_name": PACKAGE, "identifier": PACKAGE, "version_code": 50, "seen_at": NOW},
            {"package_name": PACKAGE, "identifier": CHUKU, "version_code": 239, "seen_at": NOW},
        ]})
    );
}

async fn an_unchanged_device_is_written_once_a_day(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.device_records.batch = 1).await;
    let merchant = merchant(&app).await;
    let own = json!({"old_versions": {CHUKU: 239}});
    check(&merchant.device, "A", own.clone()).await;
    let first = recorded(&merchant, "A").await;
    app.set_clock(LATER);
    check(&merchant.device, "A", own.clone()).await;
    everything_is_written(&merchant).await;
    assert_eq!(recorded(&merchant, "A").await, first);
    // One record for each device. The last one is the other device's, so the second check was not queued.
    let counts = counted(&app.running, |counts| counts.written >= 2).await;
    assert_eq!((counts.written, counts.batches), (2, 2));

    app.set_clock(NEXT_DAY);
    check(&merchant.device, "A", own).await;
    let is_later = |device: &Value| device["last_seen_at"] == NEXT_DAY;
    let next = merchant.admin.get_once(&path("A"), is_later).await;
    assert_eq!(next["first_seen_at"], NOW);
    let seen_at: Vec<_> = next["installs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["seen_at"])
        .collect();
    assert_eq!(seen_at, [NEXT_DAY, NEXT_DAY]);
}

async fn a_change_is_written_at_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    check(&merchant.device, "A", json!({"old_versions": {CHUKU: 239}})).await;
    recorded(&merchant, "A").await;
    app.set_clock(LATER);
    for old_versions in [json!({CHUKU: 240}), json!({CHUKU: 239}), json!({})] {
        check(&merchant.device, "A", json!({"old_versions": old_versions})).await;
        let expected = old_versions[CHUKU].clone();
        let is_so = |device: &Value| device["installs"][1]["version_code"] == expected;
        let changed = merchant.admin.get_once(&path("A"), is_so).await;
        assert_eq!(changed["last_seen_at"], LATER);
        assert_eq!(changed["installs"][0]["seen_at"], NOW, "it did not change");
    }
    check(&merchant.device, "A", json!({"version_code": 0})).await;
    let is_gone = |device: &Value| device["installs"] == json!([]);
    merchant.admin.get_once(&path("A"), is_gone).await;
}

async fn a_device_is_found_by_each_of_its_memberships(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let nodes = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    let admin = app.platform_admin().await;
    admin.put(&in_tenant("/org-directory"), &nodes).await.expect(200);
    let org_info = json!([{"l3Code": "8007"}, {"l1Code": "SKR", "l3Code": "1"}]);
    check(&merchant.device, "A", json!({"org_info": org_info})).await;
    check(&merchant.device, "B", json!({})).await;
    recorded(&merchant, "B").await;
    let completed = json!([
        {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"},
        {"l1Code": "SKR", "l3Code": "1"},
    ]);
    assert_eq!(recorded(&merchant, "A").await["org_info"], completed);
    for (org, expected) in [
        ("HM/HM-SH/8007", &["A"][..]),
        ("SKR", &["A"]),
        ("SKR/1", &[]),
        ("HM-SH", &[]),
    ] {
        assert_eq!(ids(&merchant, &format!("&org={org}")).await, expected, "{org}");
    }
}

async fn what_the_catalog_does_not_know_is_not_recorded(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let own = json!({"old_versions": {"com.unknown": 3, CHUKU: 240}});
    check(&merchant.device, "A", own).await;
    let device = recorded(&merchant, "A").await;
    assert_eq!(identifiers(&device), [PACKAGE, CHUKU]);
    // A device that checks for a nonexistent app is still a device.
    let own = json!({"package_name": "com.absent", "old_versions": {CHUKU: 240}});
    check(&merchant.device, "B", own).await;
    let device = recorded(&merchant, "B").await;
    assert_eq!(device["last_seen_at"], NOW);
    assert_eq!(device["installs"], json!([]));
}

async fn a_device_may_have_several_apps(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.device_records.batch = 1).await;
    let merchant = merchant(&app).await;
    let mut other = app_fields("com.other");
    other["old_package_names"] = json!(["com.old"]);
    merchant.admin.post(&in_tenant("/apps"), &other).await.expect(201);
    for _ in 0..2 {
        check(&merchant.device, "A", json!({"old_versions": {CHUKU: 240}})).await;
        // An old name means the same app.
        let own = json!({"package_name": "com.old", "version_code": 7});
        check(&merchant.device, "A", own).await;
    }
    everything_is_written(&merchant).await;
    let device = recorded(&merchant, "A").await;
    assert_eq!(identifiers(&device), [PACKAGE, CHUKU, "com.other"]);
    let counts = counted(&app.running, |counts| counts.batches >= 3).await;
    assert_eq!((counts.written, counts.batches), (3, 3));
    // An app that is no longer checked keeps its last values.
    check(&merchant.device, "A", json!({"version_code": 0})).await;
    let is_so = |device: &Value| identifiers(device) == ["com.other"];
    merchant.admin.get_once(&path("A"), is_so).await;
}

/// The body is the only limit on a device's texts; stored texts have their own limits.
async fn odd_texts_of_a_check_stop_no_record(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let long = "x".repeat(10_000);
    for (number, text) in ["a\0b", "a\u{7}", &long, "\u{feff}"].into_iter().enumerate() {
        let own = json!({"device_type": text, "package_name": text, "old_versions": {text: 1},
            "org_info": [{"l1Code": text, "l2Code": "HM"}, {"l3Code": text}]});
        check(&merchant.device, &format!("A{number}"), own).await;
    }
    everything_is_written(&merchant).await;
    for number in 0..3 {
        let device = recorded(&merchant, &format!("A{number}")).await;
        assert_eq!(device["device_type"], Value::Null);
        assert_eq!(device["org_info"], json!([{"l2Code": "HM"}]));
    }
    assert_eq!(recorded(&merchant, "A3").await["device_type"], "\u{feff}");
    assert_eq!(status(&app).dropped, 0);
}

async fn a_node_that_remembers_nothing_writes_nothing_that_is_stored(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let own = json!({"device_type": "1", "org_info": {"l1Code": "HM"}, "old_versions": {CHUKU: 240}});
    check(&merchant.device, "A", own.clone()).await;
    let before = recorded(&merchant, "A").await;
    app.set_clock(LATER);
    let (node, device) = app.at_another_node(&merchant.device).await;
    check(&device, "A", own.clone()).await;
    check(&device, "Z", json!({})).await;
    recorded(&merchant, "Z").await;
    assert_eq!(recorded(&merchant, "A").await, before);
    let counts = counted(&node, |counts| counts.written >= 1).await;
    assert_eq!(counts.written, 1);
    // A change is written, no matter which node receives it.
    check(&device, "A", with(own, json!({"version_code": 51}))).await;
    let is_so = |device: &Value| device["installs"][0]["version_code"] == 51;
    merchant.admin.get_once(&path("A"), is_so).await;
    node.stop().await.unwrap();
}

async fn what_does_not_fit_into_the_queue_is_dropped_counted_and_told_again(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.device_records.queue = 3;
        config.device_records.batch = 1;
    })
    .await;
    let merchant = merchant(&app).await;
    let blocker = block_devices(&app.database).await;
    let devices: Vec<_> = (0..10).map(|number| format!("A{number}")).collect();
    for device in &devices {
        check(&merchant.device, device, json!({})).await;
    }
    // The writer holds at most one record, and three are in the queue.
    let counts = status(&app);
    let dropped = counts.dropped;
    assert!((6..=7).contains(&dropped), "{dropped}");
    assert_eq!(counts.queued + dropped, 10);
    let metrics = app.anyone().get("/metrics").await.text;
    for name in [
        "slipway_device_records_dropped_total",
        "slipway_device_records_queued",
        "slipway_device_records_written_total",
        "slipway_device_record_batches_total",
        "slipway_devices_over_limit_total",
    ] {
        assert!(metrics.contains(&format!("\n{name} ")), "{name}");
    }
    blocker.execute_unprepared("ROLLBACK").await.unwrap();
    for device in &devices {
        check(&merchant.device, device, json!({})).await;
        recorded(&merchant, device).await;
    }
    assert_eq!(status(&app).dropped, dropped);
}

async fn new_devices_beyond_the_days_limit_are_answered_and_counted(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.device_records.new_devices_per_day = 3;
        config.device_records.batch = 1;
    })
    .await;
    let merchant = merchant(&app).await;
    let imported = json!({"devices": [{"device_id": "imported", "project_id": "stores"}]});
    merchant
        .admin
        .post(&in_tenant("/devices"), &imported)
        .await
        .expect(200);
    for device in ["A", "B", "imported"] {
        check(&merchant.device, device, json!({})).await;
    }
    let is_seen = |device: &Value| !device["last_seen_at"].is_null();
    merchant.admin.get_once(&path("imported"), is_seen).await;

    // Another node starts with the content of the database.
    let (node, device) = app
        .at_another_node_with(&merchant.device, |config| {
            config.device_records.new_devices_per_day = 3;
        })
        .await;
    for id in ["C", "D", "E"] {
        let offers = check(&device, id, json!({})).await;
        assert_eq!(offers["data"].as_array().unwrap().len(), 1);
    }
    // Known devices are still recorded.
    check(&device, "A", json!({"version_code": 51})).await;
    let is_so = |device: &Value| device["installs"][0]["version_code"] == 51;
    merchant.admin.get_once(&path("A"), is_so).await;
    assert_eq!(ids(&merchant, "").await, ["A", "B", "C", "imported"]);
    let counts = counted(&node, |counts| counts.over_limit >= 2).await;
    assert_eq!(counts.over_limit, 2);

    app.set_clock(NEXT_DAY);
    check(&device, "D", json!({})).await;
    recorded(&merchant, "D").await;
    node.stop().await.unwrap();
}

async fn what_waits_is_written_before_the_server_ends(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (node, device) = app
        .at_another_node_with(&merchant.device, |config| {
            config.device_records.wait_ms = 3_600_000;
        })
        .await;
    for id in ["A", "B"] {
        check(&device, id, json!({})).await;
    }
    assert_eq!(ids(&merchant, "").await, [""; 0]);
    let context = node.context.clone();
    assert_eq!(context.device_records().status().queued, 2);
    node.stop().await.unwrap();
    assert_eq!(context.device_records().status().queued, 0);
    assert_eq!(ids(&merchant, "").await, ["A", "B"]);
}

async fn nothing_is_recorded_when_that_is_off(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (node, device) = app
        .at_another_node_with(&merchant.device, |config| config.device_records.enabled = false)
        .await;
    let offers = check(&device, "A", json!({})).await;
    assert_eq!(offers["data"].as_array().unwrap().len(), 1);
    let counts = node.context.device_records().status();
    assert_eq!((counts.queued, counts.dropped), (0, 0));
    node.stop().await.unwrap();
    assert_eq!(ids(&merchant, "").await, [""; 0]);
}

/// The app's adoption follows the devices' checks.
async fn an_update_moves_a_device_to_its_new_version(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let adoption = in_app(&format!("/adoption?identifier={CHUKU}"));
    for version in [239, 240] {
        check(&merchant.device, "A", json!({"old_versions": {CHUKU: version}})).await;
        let expected = json!([{"version_code": version, "devices": 1, "share": 1.0}]);
        let is_so = |body: &Value| body["resources"][0]["versions"] == expected;
        merchant.admin.get_once(&adoption, is_so).await;
    }
}

/// Checks as a device.
async fn check(caller: &Caller, device: &str, own: Value) -> Value {
    let check = with(with(check_fields(), json!({"device_id": device})), own);
    caller.post("/v1/check", &check).await.expect(200)
}

/// Waits until a device is known, and returns it.
async fn recorded(merchant: &Merchant, device: &str) -> Value {
    merchant.admin.get_once(&path(device), |_| true).await
}

/// Waits until all earlier records are written. Records are written in order.
async fn everything_is_written(merchant: &Merchant) {
    check(&merchant.device, "the last", json!({})).await;
    recorded(merchant, "the last").await;
}

fn path(device: &str) -> String {
    in_tenant(&format!("/devices/{device}"))
}

async fn ids(merchant: &Merchant, filter: &str) -> Vec<String> {
    let devices = in_tenant(&format!("/devices?limit=200{filter}"));
    let id = |device: &Value| device["device_id"].as_str().unwrap().to_owned();
    every_item(&merchant.admin, &devices)
        .await
        .iter()
        .map(id)
        .collect()
}

fn identifiers(device: &Value) -> Vec<&str> {
    let installs = device["installs"].as_array().unwrap().iter();
    installs
        .map(|install| install["identifier"].as_str().unwrap())
        .collect()
}

fn status(app: &TestApp) -> DeviceRecordStatus {
    app.running.context.device_records().status()
}

/// Returns a node's counts once they satisfy the condition. They are updated after the commit, which others can already
/// see.
async fn counted(node: &Running, are_so: impl Fn(&DeviceRecordStatus) -> bool) -> DeviceRecordStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let counts = node.context.device_records().status();
        if are_so(&counts) {
            return counts;
        }
        assert!(Instant::now() < deadline, "{counts:?}");
        tokio::task::yield_now().await;
    }
}

/// Locks the devices against writes until `ROLLBACK`.
async fn block_devices(database: &TestDatabase) -> DatabaseConnection {
    let mut options = ConnectOptions::new(&database.url);
    options.max_connections(1);
    let connection = Database::connect(options).await.unwrap();
    let block = if database.url.starts_with("sqlite") {
        "BEGIN IMMEDIATE"
    } else {
        "BEGIN; LOCK TABLE devices IN ACCESS EXCLUSIVE MODE"
    };
    connection.execute_unprepared(block).await.unwrap();
    connection
}

on_both_databases!(
    a_check_makes_a_record,
    an_unchanged_device_is_written_once_a_day,
    a_change_is_written_at_once,
    a_device_is_found_by_each_of_its_memberships,
    what_the_catalog_does_not_know_is_not_recorded,
    a_device_may_have_several_apps,
    odd_texts_of_a_check_stop_no_record,
    a_node_that_remembers_nothing_writes_nothing_that_is_stored,
    what_does_not_fit_into_the_queue_is_dropped_counted_and_told_again,
    new_devices_beyond_the_days_limit_are_answered_and_counted,
    what_waits_is_written_before_the_server_ends,
    nothing_is_recorded_when_that_is_off,
    an_update_moves_a_device_to_its_new_version,
);
