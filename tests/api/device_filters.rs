//! Filters of device lists. Those that many devices match are evaluated in another way than those that few match.

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

use super::harness::{Merchant, PACKAGE, TENANT, TestApp, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    org_nodes_are_found_whether_few_or_many_devices_are_there,
    installs_are_found_whether_few_or_many_devices_have_them,
);

/// More devices than are collected and sorted.
const MANY: usize = 5_001;

async fn import(merchant: &Merchant, devices: &[Value]) {
    let body = json!({ "devices": devices });
    merchant
        .admin
        .post(&in_tenant("/devices"), &body)
        .await
        .expect(200);
}

fn device(id: &str, places: &Value) -> Value {
    json!({"device_id": id, "project_id": "stores", "org_info": places})
}

fn many(place: &Value) -> Vec<Value> {
    let places = json!([place]);
    (0..MANY)
        .map(|number| device(&format!("many-{number:05}"), &places))
        .collect()
}

async fn list(merchant: &Merchant, filter: &str) -> Vec<String> {
    let path = in_tenant(&format!("/devices?limit=200&{filter}"));
    let items = every_item(&merchant.admin, &path).await;
    let id = |device: &Value| device["device_id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

/// Asserts that a filter finds many devices and these, each once and by id.
async fn assert_finds_many_and(merchant: &Merchant, filter: &str, others: &[&str]) {
    let found = list(merchant, filter).await;
    assert!(found.is_sorted_by(|a, b| a < b), "{filter}");
    let is_other = |id: &&String| !id.starts_with("many-");
    let listed: Vec<_> = found.iter().filter(is_other).collect();
    assert_eq!(listed, others, "{filter}");
    assert_eq!(found.len(), MANY + others.len(), "{filter}");
}

async fn org_nodes_are_found_whether_few_or_many_devices_are_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    // Longer than the indexed part, and equal within it.
    let code = |last: &str| format!("{}{last}", "店".repeat(127));
    let long = |last: &str| json!([{"l1Code": code("x"), "l2Code": code(last)}]);
    let shop = |shop: &str| json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": shop});
    let mut devices = many(&shop("8007"));
    devices.extend([
        device("a", &json!([shop("8008")])),
        device("b", &json!([{"l1Code": "SKR"}, shop("8008")])),
        device("c", &json!([shop("80080")])),
        device("d", &json!([{"l1Code": "SKR"}, shop("8007")])),
        device("e", &json!([{"l1Code": "HM"}])),
        device("f", &long("a")),
        device("g", &long("b")),
        json!({"device_id": "h", "project_id": "stores"}),
    ]);
    import(&merchant, &devices).await;
    for (filter, others) in [
        ("org=HM", &["a", "b", "c", "d", "e"][..]),
        ("org=HM/HM-SH", &["a", "b", "c", "d"]),
        ("org=HM/HM-SH/8007", &["d"]),
    ] {
        assert_finds_many_and(&merchant, filter, others).await;
    }
    let long = |last: &str| format!("org={}/{}", code("x"), code(last));
    for (filter, expected) in [
        ("org=HM/HM-SH/8008".to_owned(), &["a", "b"][..]),
        ("org=HM/HM-SH/800".to_owned(), &[]),
        ("org=SKR".to_owned(), &["b", "d"]),
        ("org=none".to_owned(), &[]),
        (format!("org={}", code("x")), &["f", "g"]),
        (long("a"), &["f"]),
        (long("b"), &["g"]),
        (long("c"), &[]),
    ] {
        assert_eq!(list(&merchant, &filter).await, expected, "{filter}");
    }
}

async fn installs_are_found_whether_few_or_many_devices_have_them(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let place = json!({"l1Code": "HM"});
    let mut devices = many(&place);
    devices.extend(["a", "b", "c"].map(|id| device(id, &json!([place]))));
    import(&merchant, &devices).await;
    let connection = Database::connect(&app.database.url).await.unwrap();
    for (condition, part, version) in [
        ("device_id LIKE 'many-%'", "", 1),
        ("device_id IN ('a', 'b')", "", 2),
        ("device_id IN ('b', 'c')", ".part", 1),
    ] {
        let insert = format!(
            "INSERT INTO device_installs (tenant_id, device_id, package_name, identifier, app_id, version_code, seen_at) \
             SELECT {TENANT}, device_id, '{PACKAGE}', '{PACKAGE}{part}', id, {version}, created_at \
             FROM devices, apps WHERE {condition}"
        );
        connection.execute_unprepared(&insert).await.unwrap();
    }
    connection.close().await.unwrap();
    let of_app = format!("package_name={PACKAGE}");
    let itself = format!("{of_app}&identifier={PACKAGE}");
    let part = format!("{of_app}&identifier={PACKAGE}.part");
    assert_finds_many_and(&merchant, &of_app, &["a", "b", "c"]).await;
    assert_finds_many_and(&merchant, &itself, &["a", "b"]).await;
    assert_finds_many_and(&merchant, &format!("{itself}&version_code=1"), &[]).await;
    assert_finds_many_and(&merchant, &format!("{itself}&version_code=1&org=HM"), &[]).await;
    for (filter, expected) in [
        (format!("{itself}&version_code=2"), &["a", "b"][..]),
        (part.clone(), &["b", "c"]),
        (format!("{part}&version_code=1&org=HM"), &["b", "c"]),
        (format!("{part}&version_code=2"), &[]),
        ("package_name=com.example.none".to_owned(), &[]),
    ] {
        assert_eq!(list(&merchant, &filter).await, expected, "{filter}");
    }
}
