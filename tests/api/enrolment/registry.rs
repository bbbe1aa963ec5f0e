//! Enrolled and connected devices in the registry.

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{enrol, first, import, merchant, path, registered};
use crate::api::harness::{Merchant, TENANT, TestApp, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_device_counts_as_connected_while_its_node_runs(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    for device in ["A", "B", "C", "D"] {
        first(&app, &merchant, device).await;
    }
    let (alive, dead) = (app.running.context.node().id, Uuid::new_v4());
    let sql = Database::connect(&app.database.url).await.unwrap();
    // Nodes report this themselves. This one has not reported for too long.
    let late = format!(
        "INSERT INTO nodes (id, seen_at) VALUES ({}, '2026-03-02 01:59:30+00:00')",
        uuid(&app, dead)
    );
    sql.execute_unprepared(&late).await.unwrap();
    for (device, node) in [("A", alive), ("B", dead), ("C", Uuid::new_v4())] {
        let hang = format!(
            "UPDATE devices SET connected_node = {} WHERE tenant_id = {TENANT} AND device_id = '{device}'",
            uuid(&app, node)
        );
        sql.execute_unprepared(&hang).await.unwrap();
    }
    let is_connected = |device: &Value| device["connected"] == true;
    merchant.admin.get_once(&path("A"), is_connected).await;
    for device in ["B", "C", "D"] {
        assert_eq!(
            registered(&merchant, device).await["connected"],
            false,
            "{device}"
        );
    }
    assert_eq!(ids(&merchant, "&connected=true").await, ["A"]);
    assert_eq!(ids(&merchant, "&connected=false").await, ["B", "C", "D"]);
    assert_eq!(ids(&merchant, "&connected=false&project_id=x").await, [""; 0]);
}

async fn a_list_says_who_is_enrolled(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    import(&merchant.admin, "A", "stores").await;
    first(&app, &merchant, "B").await;
    first(&app, &merchant, "C").await;
    merchant
        .admin
        .delete(&format!("{}/token", path("C")))
        .await
        .expect(204);
    enrol(&merchant.device, "C")
        .await
        .problem(409, "already_enrolled");
    let items = every_item(&merchant.admin, &in_tenant("/devices?limit=2")).await;
    let enrolled: Vec<_> = items.iter().map(|device| device["enrolled"].clone()).collect();
    assert_eq!(enrolled, [json!(false), json!(true), json!(false)]);
}

async fn ids(merchant: &Merchant, filter: &str) -> Vec<String> {
    let items = every_item(
        &merchant.admin,
        &in_tenant(&format!("/devices?limit=200{filter}")),
    )
    .await;
    let id = |device: &Value| device["device_id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

/// Formats a UUID for raw statements on the database.
fn uuid(app: &TestApp, uuid: Uuid) -> String {
    if app.database.url.starts_with("sqlite") {
        format!("X'{}'", uuid.simple())
    } else {
        format!("'{uuid}'")
    }
}

on_both_databases!(
    a_device_counts_as_connected_while_its_node_runs,
    a_list_says_who_is_enrolled,
);
