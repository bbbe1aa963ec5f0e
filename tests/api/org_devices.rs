//! Numbers of devices at and below org nodes: counted every hour, and shown without counting.

use chrono::TimeDelta;
use serde_json::{Value, json};
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::{CountReport, count_due};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::console::Browser;
use super::harness::{ADMIN, Caller, Merchant, PASSWORD, TENANT, TestApp, in_tenant};

async fn directory(merchant: &Merchant, paths: &[&[&str]]) {
    let nodes: Vec<_> = paths.iter().map(|path| json!({"path": path})).collect();
    let path = in_tenant("/org-directory");
    merchant
        .admin
        .put(&path, &json!({"nodes": nodes}))
        .await
        .expect(200);
}

async fn import(merchant: &Merchant, devices: &[(&str, Value)]) {
    let devices: Vec<_> = devices
        .iter()
        .map(|(id, org)| json!({"device_id": id, "project_id": "stores", "org_info": org}))
        .collect();
    let body = json!({"devices": devices});
    merchant
        .admin
        .post(&in_tenant("/devices"), &body)
        .await
        .expect(200);
}

/// Counts an hour later, as the holder of the lease.
async fn count(app: &TestApp) -> CountReport {
    loop {
        app.clock.set(app.clock.now() + TimeDelta::hours(1));
        let counted = count_due(&app.running.context, "this test").await.unwrap();
        if let Some(report) = counted {
            return report;
        }
    }
}

async fn read(caller: &Caller, query: &str) -> Value {
    let path = in_tenant(&format!("/org-directory/devices{query}"));
    caller.get(&path).await.expect(200)
}

/// The number of a node, and those of its children.
async fn devices(caller: &Caller, query: &str) -> (u64, Vec<(String, u64)>) {
    let found = read(caller, query).await;
    let number = |value: &Value| value["devices"].as_u64().unwrap();
    let children = found["items"].as_array().unwrap().iter();
    let children = children.map(|child| (child["code"].as_str().unwrap().to_owned(), number(child)));
    (number(&found), children.collect())
}

fn children(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    let children = expected.iter();
    children
        .map(|(code, devices)| ((*code).to_owned(), *devices))
        .collect()
}

/// A merchant whose credentials outlast a set clock.
async fn merchant(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    let admin = app.pipeline(&merchant.admin, "admin").await;
    directory(&merchant, &[&["HM", "HM-SH", "8007"], &["HM", "HM-BJ"], &["SKR"]]).await;
    let store = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"});
    let places = [
        ("A", store.clone()),
        ("B", store),
        (
            "C",
            json!([{"l1Code": "HM", "l2Code": "HM-BJ"}, {"l1Code": "HM", "l2Code": "HM-SH"}]),
        ),
        ("D", json!({"l1Code": "HM", "l2Code": "HM-GZ"})),
    ];
    import(&merchant, &places).await;
    merchant.know(&["E"]).await;
    Merchant { admin, ..merchant }
}

async fn a_node_counts_the_devices_at_and_below_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let admin = &merchant.admin;
    let report = count(&app).await;
    assert_eq!(report.nodes, 5, "{report:?}");
    assert_eq!(devices(admin, "").await, (5, children(&[("HM", 4)])));
    assert_eq!(
        devices(admin, "?path=HM").await,
        (4, children(&[("HM-BJ", 1), ("HM-SH", 3)]))
    );
    assert_eq!(
        devices(admin, "?path=HM/HM-SH").await,
        (3, children(&[("8007", 2)]))
    );
    assert_eq!(devices(admin, "?path=HM/HM-SH/8007").await, (2, children(&[])));
    assert_eq!(devices(admin, "?path=XX").await, (0, children(&[])));
    let first = read(admin, "?path=HM&limit=1").await;
    let next = format!(
        "?path=HM&limit=1&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    assert_eq!(devices(admin, &next).await, (4, children(&[("HM-SH", 3)])));
    assert_eq!(read(admin, &next).await["next_cursor"], Value::Null);
}

async fn only_changed_numbers_are_written(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let admin = &merchant.admin;
    count(&app).await;
    let first = read(admin, "").await["counted_at"].clone();
    assert_eq!(count(&app).await.nodes, 0);
    assert_ne!(read(admin, "").await["counted_at"], first);
    // A device moves, and a node without devices has no number.
    import(&merchant, &[("C", json!({"l1Code": "SKR"}))]).await;
    assert_eq!(count(&app).await.nodes, 4);
    assert_eq!(devices(admin, "").await, (5, children(&[("HM", 3), ("SKR", 1)])));
    assert_eq!(devices(admin, "?path=HM").await, (3, children(&[("HM-SH", 2)])));
    // Nodes that the directory lacks are not counted.
    directory(&merchant, &[&["HM"]]).await;
    assert_eq!(count(&app).await.nodes, 3);
    assert_eq!(devices(admin, "").await, (5, children(&[("HM", 3)])));
    assert_eq!(devices(admin, "?path=HM").await, (3, children(&[])));
}

async fn the_page_shows_the_numbers_and_their_time(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let org = format!("/console/tenants/{TENANT}/org");
    let page = browser.get(&format!("{org}?path=HM")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    if read(&merchant.admin, "").await["counted_at"].is_null() {
        assert!(
            page.text
                .contains("Not counted yet; devices are counted every hour."),
            "{}",
            page.text
        );
    }
    count(&app).await;
    let page = browser.get(&format!("{org}?path=HM")).await.text;
    for text in [
        "Devices at or below this node: <b>4</b>",
        "counted at <time datetime=\"2026-03-02T0",
        "devices?org=HM%2FHM-BJ\">1<span",
        "devices?org=HM%2FHM-SH\">3<span",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    // A node without devices has the number 0.
    let page = browser.get(&org).await.text;
    assert!(page.contains("devices?org=SKR\">0<span"), "{page}");
}

on_both_databases!(
    a_node_counts_the_devices_at_and_below_it,
    only_changed_numbers_are_written,
    the_page_shows_the_numbers_and_their_time,
);
