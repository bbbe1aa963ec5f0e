//! Adoption over time: devices are counted every hour, and each day keeps one value.

mod million;
mod nodes;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::{Value, json};
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::{CountReport, count_due};
use slipway::services::housekeeping::clean;

use super::harness::{
    CHUKU, Caller, Merchant, NOW, PACKAGE, TENANT, TestApp, app_fields, check_fields, in_app, in_tenant, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const HOLDER: &str = "this test";

on_both_databases!(
    a_day_keeps_its_last_count,
    a_count_is_what_adoption_returns,
    days_are_kept_for_400_days,
    an_unreadable_tenant_does_not_keep_others_from_being_counted,
    a_deleted_app_takes_its_history_along,
    a_history_is_bounded,
);

/// Creates a merchant whose credentials stay valid when the clock is set.
async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    Merchant {
        admin: app.pipeline(&merchant.admin, "admin").await,
        ..merchant
    }
}

/// Checks as a device with a new version, and waits until the check is recorded.
async fn check(merchant: &Merchant, device: &str, version: i64, old_versions: Value) {
    let own = json!({"device_id": device, "version_code": version, "old_versions": old_versions});
    let fields = with(check_fields(), own);
    merchant.device.post("/v1/check", &fields).await.expect(200);
    let path = in_tenant(&format!("/devices/{device}"));
    let is_recorded = |device: &Value| {
        let installs = device["installs"].as_array().unwrap();
        let own = installs.iter().find(|own| own["identifier"] == PACKAGE);
        own.is_some_and(|own| own["version_code"] == version)
    };
    merchant.admin.get_once(&path, is_recorded).await;
}

fn pass(app: &TestApp, time: TimeDelta) {
    app.clock.set(app.clock.now() + time);
}

/// Counts as the holder of the lease.
async fn count(app: &TestApp) -> CountReport {
    let counted = count_due(&app.running.context, HOLDER).await.unwrap();
    counted.expect("a tenant is due, and the lease is free")
}

async fn count_after(app: &TestApp, time: TimeDelta) -> CountReport {
    pass(app, time);
    count(app).await
}

async fn history(caller: &Caller, query: &str) -> Value {
    let path = in_app(&format!("/adoption/history{query}"));
    caller.get(&path).await.expect(200)
}

/// Date, devices by version, and number of other devices.
type Day = (String, Vec<(i64, u64)>, u64);

/// Returns the days of the first resource.
fn days(history: &Value) -> Vec<Day> {
    let days = history["resources"][0]["days"].as_array();
    let day = |day: &Value| {
        let versions = day["versions"].as_array().unwrap().iter();
        let versions: Vec<_> = versions
            .map(|it| {
                (
                    it["version_code"].as_i64().unwrap(),
                    it["devices"].as_u64().unwrap(),
                )
            })
            .collect();
        let others = day["others"].as_u64().unwrap();
        let total = versions.iter().map(|(_, devices)| devices).sum::<u64>() + others;
        assert_eq!(day["devices"], total, "{day}");
        (day["date"].as_str().unwrap().to_owned(), versions, others)
    };
    days.into_iter().flatten().map(day).collect()
}

fn on(date: &str, versions: &[(i64, u64)]) -> (String, Vec<(i64, u64)>, u64) {
    (date.to_owned(), versions.to_vec(), 0)
}

async fn execute(app: &TestApp, statements: &[&str]) {
    let connection = Database::connect(&app.database.url).await.unwrap();
    for statement in statements {
        connection.execute_unprepared(statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn count_rows(app: &TestApp, table: &str) -> i64 {
    let connection = Database::connect(&app.database.url).await.unwrap();
    let backend = connection.get_database_backend();
    let statement = Statement::from_string(backend, format!("SELECT count(*) AS it FROM {table}"));
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    connection.close().await.unwrap();
    row.try_get::<i64>("", "it").unwrap()
}

async fn a_day_keeps_its_last_count(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    check(&merchant, "A", 50, json!({})).await;
    check(&merchant, "B", 50, json!({})).await;
    assert_eq!(history(&merchant.admin, "").await["resources"], json!([]));
    let first = count(&app).await;
    assert_eq!((first.tenants, first.written), (1, 1));
    let found = history(&merchant.admin, "").await;
    assert_eq!(
        (&found["from"], &found["to"]),
        (&json!("2026-02-01"), &json!("2026-03-02"))
    );
    assert_eq!(found["resources"][0]["identifier"], PACKAGE);
    assert_eq!(days(&found), [on("2026-03-02", &[(50, 2)])]);

    // A second count within the hour does nothing.
    check(&merchant, "B", 51, json!({})).await;
    pass(&app, TimeDelta::minutes(59));
    assert_eq!(count_due(&app.running.context, HOLDER).await.unwrap(), None);
    let second = count_after(&app, TimeDelta::minutes(1)).await;
    assert_eq!((second.tenants, second.written, second.gone), (1, 1, 0));
    let found = history(&merchant.admin, "").await;
    assert_eq!(days(&found), [on("2026-03-02", &[(51, 1), (50, 1)])]);
    // An unchanged count writes no day.
    let third = count_after(&app, TimeDelta::hours(1)).await;
    assert_eq!((third.tenants, third.written), (1, 0));

    app.set_clock("2026-03-03T00:00:00Z");
    check(&merchant, "A", 51, json!({})).await;
    count(&app).await;
    // A day without a running server is missing.
    app.set_clock("2026-03-05T00:00:00Z");
    count(&app).await;
    let found = history(&merchant.admin, "").await;
    let expected = [
        on("2026-03-02", &[(51, 1), (50, 1)]),
        on("2026-03-03", &[(51, 2)]),
        on("2026-03-05", &[(51, 2)]),
    ];
    assert_eq!(days(&found), expected);
    let newest = history(&merchant.admin, "?days=3").await;
    assert_eq!(newest["from"], "2026-03-03");
    assert_eq!(days(&newest), expected[1..]);
    assert_eq!(days(&history(&merchant.admin, "?days=1").await), expected[2..]);
}

async fn a_count_is_what_adoption_returns(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    merchant.published("a", 1).await;
    merchant.published(CHUKU, 240).await;
    check(&merchant, "A", 50, json!({CHUKU: 240, "a": 1})).await;
    // The device does not check again.
    app.set_clock("2026-03-20T02:00:00Z");
    check(&merchant, "B", 50, json!({CHUKU: 239, "unknown": 7})).await;
    check(&merchant, "C", 51, json!({CHUKU: 240})).await;
    for now in [
        "2026-03-20T02:00:00Z",
        "2026-04-01T02:00:00Z",
        "2026-04-02T02:00:00Z",
    ] {
        app.set_clock(now);
        let report = count(&app).await;
        assert_eq!(report.gone, 0);
        let adoption = merchant.admin.get(&in_app("/adoption")).await.expect(200);
        let counted = history(&merchant.admin, "?days=1").await;
        assert_eq!(newest_day(&counted), versions(&adoption), "{now}");
    }
    // Resources that are no longer on any device are absent, even from a day with data.
    let only = history(&merchant.admin, "?identifier=a").await;
    assert_eq!(days(&only).len(), 2);
    let reported = merchant.admin.get(&in_app("/adoption")).await.expect(200);
    assert_eq!(reported["resources"].as_array().unwrap().len(), 2);
    app.set_clock("2026-04-19T23:30:00Z");
    count(&app).await;
    // The next day is more than 30 days after the checks.
    let report = count_after(&app, TimeDelta::hours(1)).await;
    assert_eq!((report.written, report.gone), (0, 0));
    assert_eq!(newest_day(&history(&merchant.admin, "?days=1").await), json!({}));
    check(&merchant, "D", 52, json!({})).await;
    assert_eq!(count_after(&app, TimeDelta::hours(1)).await.written, 1);
    merchant.admin.delete(&in_tenant("/devices/D")).await.expect(204);
    let report = count_after(&app, TimeDelta::hours(1)).await;
    assert_eq!((report.written, report.gone), (0, 1));
    assert_eq!(newest_day(&history(&merchant.admin, "?days=1").await), json!({}));
}

/// Returns the devices by resource and version of the last day.
fn newest_day(history: &Value) -> Value {
    let resources = history["resources"].as_array().unwrap().iter();
    let resources = resources.map(|it| (name_of(it), by_version(&it["days"][0]["versions"])));
    resources.collect()
}

fn versions(adoption: &Value) -> Value {
    let resources = adoption["resources"].as_array().unwrap().iter();
    let resources = resources.map(|it| (name_of(it), by_version(&it["versions"])));
    resources.collect()
}

fn name_of(resource: &Value) -> String {
    resource["identifier"].as_str().unwrap().to_owned()
}

fn by_version(versions: &Value) -> Value {
    let versions = versions.as_array().unwrap().iter();
    let versions = versions.map(|it| json!([it["version_code"], it["devices"]]));
    versions.collect()
}

async fn days_are_kept_for_400_days(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    check(&merchant, "A", 50, json!({})).await;
    count(&app).await;
    let start: DateTime<Utc> = NOW.parse().unwrap();
    app.clock.set(start + TimeDelta::days(399));
    check(&merchant, "A", 51, json!({})).await;
    assert_eq!(count(&app).await.expired, 0);
    let found = history(&merchant.admin, "?days=400").await;
    assert_eq!(found["from"], "2026-03-02");
    assert_eq!(days(&found).len(), 2);
    app.clock.set(start + TimeDelta::days(400));
    check(&merchant, "A", 52, json!({})).await;
    assert_eq!(count(&app).await.expired, 1);
    assert_eq!(days(&history(&merchant.admin, "?days=400").await).len(), 2);
    assert_eq!(count_rows(&app, "adoption_days").await, 2);
}

async fn an_unreadable_tenant_does_not_keep_others_from_being_counted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    // It comes before the other.
    app.tenant_admin(TENANT - 1).await;
    check(&merchant, "A", 50, json!({})).await;
    let unreadable = format!(
        "INSERT INTO adoption_days (tenant_id, app_id, identifier, day, versions, others) \
         SELECT {}, id, '{PACKAGE}', '2026-03-02', 'unreadable', 0 FROM apps",
        TENANT - 1
    );
    execute(&app, &[&unreadable]).await;
    assert_eq!(count(&app).await.tenants, 1);
    assert_eq!(
        days(&history(&merchant.admin, "").await),
        [on("2026-03-02", &[(50, 1)])]
    );
    // A retry follows an hour later, not at once.
    assert!(count_due(&app.running.context, HOLDER).await.unwrap().is_none());
    execute(&app, &["DELETE FROM adoption_days WHERE versions = 'unreadable'"]).await;
    app.clock.set(app.clock.now() + TimeDelta::hours(1));
    assert_eq!(count(&app).await.tenants, 2);
}

async fn a_deleted_app_takes_its_history_along(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    check(&merchant, "A", 50, json!({})).await;
    count(&app).await;
    merchant.admin.delete(&in_app("")).await.expect(204);
    merchant
        .admin
        .get(&in_app("/adoption/history"))
        .await
        .problem(404, "not_found");
    merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields(PACKAGE))
        .await
        .expect(201);
    // A new app with the same name has no history, even while devices of the old one still exist.
    assert_eq!(history(&merchant.admin, "").await["resources"], json!([]));
    app.set_clock("2026-03-03T01:00:00Z");
    count(&app).await;
    assert_eq!(history(&merchant.admin, "").await["resources"], json!([]));
    assert_eq!(count_rows(&app, "adoption_days").await, 1);
    clean(&app.running.context, HOLDER).await.unwrap().unwrap();
    assert_eq!(count_rows(&app, "adoption_days").await, 0);
    check(&merchant, "A", 51, json!({})).await;
    count_after(&app, TimeDelta::hours(1)).await;
    let expected = [on("2026-03-03", &[(51, 1)])];
    assert_eq!(days(&history(&merchant.admin, "").await), expected);
}

async fn a_history_is_bounded(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    for version in 1..=12 {
        check(&merchant, &format!("D{version}"), version, json!({})).await;
    }
    // The oldest version has the most devices.
    check(&merchant, "E", 1, json!({})).await;
    count(&app).await;
    let found = history(&merchant.admin, "").await;
    let mut expected = on("2026-03-02", &[]);
    expected.1 = (4..=12).rev().map(|version| (version, 1)).collect();
    expected.1.push((1, 2));
    expected.2 = 2;
    assert_eq!(days(&found), [expected]);
    assert_eq!(found["more_resources"], false);

    let identifiers: Vec<_> = (10..30).map(|number| format!("r{number}")).collect();
    for identifier in &identifiers[..19] {
        merchant.published(identifier, 1).await;
    }
    assert_eq!(history(&merchant.admin, "").await["more_resources"], false);
    merchant.published(&identifiers[19], 1).await;
    let installed: Value = identifiers.iter().map(|it| (it.clone(), json!(1))).collect();
    check(&merchant, "F", 2, installed).await;
    count_after(&app, TimeDelta::hours(1)).await;
    let found = history(&merchant.admin, "").await;
    let shown = found["resources"].as_array().unwrap().iter();
    let shown: Vec<_> = shown.map(|it| it["identifier"].as_str().unwrap()).collect();
    assert_eq!(shown[0], PACKAGE);
    assert_eq!(shown[1..], identifiers[..19]);
    assert_eq!(found["more_resources"], true);
    let last = history(&merchant.admin, "?identifier=r29").await;
    assert_eq!(days(&last), [on("2026-03-02", &[(1, 1)])]);
    assert_eq!(last["more_resources"], false);
    let unknown = history(&merchant.admin, "?identifier=unknown").await;
    assert_eq!(unknown["resources"], json!([]));
}
