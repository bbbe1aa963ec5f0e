//! Devices changed by another writer: their next checks are recorded again.

use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use super::harness::{
    CHUKU, Caller, Merchant, PACKAGE, TestApp, app_fields, check_fields, in_app, in_tenant, with,
};
use super::push_delivery::until;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const DEVICES: [&str; 2] = ["A", "B"];

async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    Merchant {
        admin: app.pipeline(&merchant.admin, "publisher").await,
        ..merchant
    }
}

/// Checks as a device of a store.
async fn check(caller: &Caller, device: &str, store: &str) {
    let own = json!({"device_id": device, "device_type": "10013", "org_info": {"l1Code": store},
        "old_versions": {CHUKU: 239}});
    caller
        .post("/v1/check", &with(check_fields(), own))
        .await
        .expect(200);
}

fn path(device: &str) -> String {
    in_tenant(&format!("/devices/{device}"))
}

/// Returns true if the registry contains the values of [`check`].
async fn is_recorded(merchant: &Merchant, device: &str, store: &str) -> bool {
    let shown = merchant.admin.get(&path(device)).await;
    shown.status == 200
        && shown.body["device_type"] == "10013"
        && shown.body["org_info"] == json!([{"l1Code": store}])
        && shown.body["installs"].as_array().unwrap().len() == 2
        && shown.body["installs"][1]["version_code"] == 239
}

/// Verifies that the devices' own checks correct the registry.
async fn checks_correct(merchant: &Merchant) {
    for device in DEVICES {
        until(async || {
            check(&merchant.device, device, "HM").await;
            is_recorded(merchant, device, "HM").await
        })
        .await;
    }
}

async fn execute(app: &TestApp, statements: &[&str]) {
    let connection = Database::connect(&app.database.url).await.unwrap();
    for statement in statements {
        connection.execute_unprepared(statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn imports_deletions_and_sql_are_corrected_by_the_next_checks(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    checks_correct(&merchant).await;
    let wrong =
        json!({"devices": [{"device_id": "A", "project_id": "handhelds", "org_info": {"l1Code": "XX"}}]});
    let imported = merchant.admin.post(&in_tenant("/devices"), &wrong).await;
    assert!(imported.status < 300, "{}", imported.text);
    assert!(!is_recorded(&merchant, "A", "HM").await);
    checks_correct(&merchant).await;
    merchant.admin.delete(&path("A")).await.expect(204);
    checks_correct(&merchant).await;
    for statements in [
        &["UPDATE devices SET device_type = 'wrong'"][..],
        &["UPDATE devices SET org_info = NULL"],
        &["DELETE FROM device_installs WHERE device_id = 'A'"],
        &["UPDATE device_installs SET version_code = 7"],
        &["DELETE FROM devices"],
        &[
            "CREATE TABLE saved AS SELECT * FROM devices",
            "UPDATE saved SET device_type = 'of the backup'",
            "DELETE FROM devices",
            "INSERT INTO devices SELECT * FROM saved",
            "DROP TABLE saved",
        ],
    ] {
        execute(&app, statements).await;
        assert!(!is_recorded(&merchant, "A", "HM").await, "{statements:?}");
        checks_correct(&merchant).await;
    }
}

async fn a_database_that_went_back_in_time_is_corrected(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    checks_correct(&merchant).await;
    // Simulates a restore: the rows of devices and changes are older, and no trigger fired.
    let is_sqlite = app.database.url.starts_with("sqlite");
    let (off, on) = if is_sqlite {
        (
            "UPDATE device_recording SET is_on = 1",
            "UPDATE device_recording SET is_on = 0",
        )
    } else {
        (
            "ALTER TABLE devices DISABLE TRIGGER USER",
            "ALTER TABLE devices ENABLE TRIGGER USER",
        )
    };
    execute(
        &app,
        &[
            off,
            "UPDATE devices SET device_type = 'of the backup'",
            on,
            "DELETE FROM device_changes",
            "INSERT INTO device_changes (stamp) VALUES ('of another history')",
        ],
    )
    .await;
    checks_correct(&merchant).await;
}

/// A device returns to its earlier node and sends the same values as before.
async fn a_device_that_moves_between_nodes_is_recorded_at_each_move(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (node, there) = app.at_another_node(&merchant.device).await;
    for _ in 0..2 {
        for (caller, store) in [(&merchant.device, "HM"), (&there, "XX")] {
            until(async || {
                check(caller, "A", store).await;
                is_recorded(&merchant, "A", store).await
            })
            .await;
        }
    }
    node.stop().await.unwrap();
}

async fn devices_without_news_cause_no_writes(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    checks_correct(&merchant).await;
    execute(&app, &["UPDATE devices SET device_type = 'wrong'"]).await;
    checks_correct(&merchant).await;
    // The node reads its own writes and its corrections.
    let forgotten = async || {
        let text = app.anyone().get("/metrics").await.text;
        let sample = text
            .lines()
            .find_map(|line| line.strip_prefix("slipway_device_records_forgotten_total "));
        sample.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    let before = forgotten().await;
    execute(
        &app,
        &[
            "UPDATE devices SET device_type = 'x' WHERE device_id = 'A'",
            "UPDATE devices SET device_type = '10013' WHERE device_id = 'A'",
        ],
    )
    .await;
    until(async || forgotten().await >= before + 2.0).await;
    let written = app.running.context.device_records().status().written;
    for device in DEVICES {
        check(&merchant.device, device, "HM").await;
    }
    check(&merchant.device, "the last", "HM").await;
    until(async || is_recorded(&merchant, "the last", "HM").await).await;
    until(async || app.running.context.device_records().status().queued == 0).await;
    assert_eq!(app.running.context.device_records().status().written, written + 1);
}

async fn installs_of_a_deleted_app_are_none_of_a_new_one(database: TestDatabase) {
    use slipway::services::housekeeping::clean;
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    checks_correct(&merchant).await;
    merchant.recall(&release, "stop").await.expect(200);
    let of_app = in_app("");
    merchant.admin.delete(&of_app).await.expect(204);
    let made = merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields(PACKAGE))
        .await;
    assert!(made.status < 300, "{}", made.text);
    let device = merchant.admin.get(&path("A")).await.expect(200);
    assert_eq!(device["installs"], json!([]));
    let adoption = merchant.admin.get(&in_app("/adoption")).await.expect(200);
    assert_eq!(adoption["resources"], json!([]), "{adoption}");
    let rows = async || count_installs(&app).await;
    assert_eq!(rows().await, 4);
    app.set_clock("2026-03-02T02:06:00Z");
    clean(&app.running.context, "a test").await.unwrap();
    assert_eq!(rows().await, 0);
}

async fn count_installs(app: &TestApp) -> i64 {
    let connection = Database::connect(&app.database.url).await.unwrap();
    let backend = connection.get_database_backend();
    let statement = sea_orm::Statement::from_string(backend, "SELECT count(*) AS it FROM device_installs");
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    connection.close().await.unwrap();
    row.try_get::<i64>("", "it").unwrap()
}

on_both_databases!(
    imports_deletions_and_sql_are_corrected_by_the_next_checks,
    a_database_that_went_back_in_time_is_corrected,
    a_device_that_moves_between_nodes_is_recorded_at_each_move,
    devices_without_news_cause_no_writes,
    installs_of_a_deleted_app_are_none_of_a_new_one,
);
