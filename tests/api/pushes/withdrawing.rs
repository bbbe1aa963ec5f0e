//! Withdrawing a push from devices that have not received it.

use serde_json::{Value, json};
use slipway::clock::Clock;
use slipway::storage::push_targets;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::push::{Channel, TargetKey};
use slipway_domain::catalog::text::DeviceId;

use crate::api::harness::{TENANT, TestApp, in_tenant, push_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn states(push: &Value) -> Vec<&str> {
    let targets = push["targets"].as_array().unwrap();
    targets
        .iter()
        .map(|target| target["state"].as_str().unwrap())
        .collect()
}

/// Delivers the first push of a device.
async fn deliver(app: &TestApp, device_id: &str) {
    let key = TargetKey {
        tenant: TenantId::parse(TENANT).unwrap(),
        device: DeviceId::parse(device_id).unwrap(),
        sequence: 1,
    };
    let tx = app.database.db.begin().await.unwrap();
    push_targets::mark_delivered(&tx, &[(Channel::Poll, vec![key])], app.clock.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn what_was_not_delivered_is_withdrawn(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A", "B", "C"]).await;
    let push = push_fields(&["A", "B", "C"]);
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &push)
        .await
        .expect(201);
    let path = in_tenant(&format!("/pushes/{}", push["id"].as_str().unwrap()));
    deliver(&app, "B").await;
    app.set_clock("2026-03-02T02:00:30Z");
    let withdrawn = merchant.admin.delete(&path).await;
    let etag = withdrawn.header("etag").to_owned();
    let withdrawn = withdrawn.expect(200);
    assert_eq!(states(&withdrawn), ["withdrawn", "delivered", "withdrawn"]);
    assert_eq!(withdrawn["targets"][0]["ended_at"], "2026-03-02T02:00:30Z");
    assert_eq!(withdrawn["targets"][1]["ended_at"], Value::Null);
    let event = merchant.audit().await.remove(0);
    assert_eq!(
        (&event["action"], &event["after"]),
        (&json!("push.withdraw"), &json!({"withdrawn": 2}))
    );
    // A repetition changes nothing and is not audited.
    let again = merchant.admin.delete(&path).await;
    assert_eq!(again.header("etag"), etag);
    assert_eq!(again.expect(200), withdrawn);
    assert_eq!(merchant.audit().await[0]["id"], event["id"]);
    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    for (device_id, open) in [("A", 0), ("B", 1), ("C", 0)] {
        let device = DeviceId::parse(device_id).unwrap();
        let found =
            push_targets::list_open_of_device(&app.database.db, scope, &device, 0, 9, app.clock.now());
        assert_eq!(found.await.unwrap().len(), open, "{device_id}");
    }
}

on_both_databases!(what_was_not_delivered_is_withdrawn);
