//! The registry of devices: import, list, filters, single devices.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{
    CHUKU, Caller, Merchant, PACKAGE, TENANT, TestApp, check_fields, every_item, in_tenant, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn an_import_makes_devices_known(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let org_info = json!([{"l1Code": "HM", "l3Code": "8007"}, {"l1Code": "SKR"}]);
    let devices = json!([
        {"device_id": "PDA001", "project_id": "stores", "device_type": "10013", "org_info": org_info},
        {"device_id": "PDA002", "project_id": "depots", "org_info": {"l1Code": "HM"}},
    ]);
    let done = import(&merchant.admin, &devices).await;
    assert_eq!(done, json!({"created": 2, "updated": 0}));
    let known = merchant.admin.get(&device("PDA001")).await.expect(200);
    assert_eq!(
        known,
        json!({"device_id": "PDA001", "project_id": "stores", "device_type": "10013", "org_info": org_info,
            "attributes": null, "enrolled": false, "connected": false, "first_seen_at": null, "last_seen_at": null,
            "installs": []})
    );
    let known = merchant.admin.get(&device("PDA002")).await.expect(200);
    assert_eq!(known["org_info"], json!([{"l1Code": "HM"}]));
    assert_eq!(known["device_type"], Value::Null);
}

async fn the_same_import_again_changes_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let devices = json!([
        {"device_id": "A", "project_id": "stores", "device_type": "10013", "org_info": {"l1Code": "HM"}},
        {"device_id": "B", "project_id": "stores"},
    ]);
    import(&merchant.admin, &devices).await;
    let before = (list(&merchant, "").await, merchant.audit().await.len());
    assert_eq!(
        import(&merchant.admin, &devices).await,
        json!({"created": 0, "updated": 0})
    );
    assert_eq!((list(&merchant, "").await, merchant.audit().await.len()), before);

    let changed = json!([
        {"device_id": "A", "project_id": "depots"},
        {"device_id": "B", "project_id": "stores", "org_info": []},
        {"device_id": "C", "project_id": "stores"},
    ]);
    let done = import(&merchant.admin, &changed).await;
    assert_eq!(done, json!({"created": 1, "updated": 2}));
    let moved = merchant.admin.get(&device("A")).await.expect(200);
    assert_eq!(moved["project_id"], "depots");
    assert_eq!(moved["device_type"], "10013", "what is left out stays");
    assert_eq!(moved["org_info"], json!([{"l1Code": "HM"}]));
    let event = &merchant.audit().await[0];
    assert_eq!(event["action"], "device.import");
    assert_eq!(event["after"], json!({"created": 1, "updated": 2}));
}

async fn an_import_with_an_idempotency_key_is_done_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let body = json!({"devices": [{"device_id": "A", "project_id": "stores"}]});
    let send = async || {
        let header = ("Idempotency-Key", "k");
        let devices = in_tenant("/devices");
        merchant
            .admin
            .call_with(header, Method::POST, &devices, &body)
            .await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.text, again.text);
    assert_eq!(first.expect(200), json!({"created": 1, "updated": 0}));
}

async fn an_import_is_completed_from_the_org_directory(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let nodes = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    merchant
        .admin
        .put(&in_tenant("/org-directory"), &nodes)
        .await
        .expect(200);
    let devices = json!([{"device_id": "A", "project_id": "stores", "org_info": {"l3Code": "8007"}}]);
    import(&merchant.admin, &devices).await;
    assert_eq!(list(&merchant, "&org=HM/HM-SH").await, ["A"]);
    assert_eq!(
        import(&merchant.admin, &devices).await,
        json!({"created": 0, "updated": 0})
    );
}

async fn a_check_leaves_the_project_and_tells_the_rest(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let devices = json!([
        {"device_id": "A", "project_id": "stores", "device_type": "1", "org_info": {"l1Code": "HM"}},
        {"device_id": "B", "project_id": "stores", "device_type": "1", "org_info": {"l1Code": "HM"}},
    ]);
    import(&merchant.admin, &devices).await;
    let silent = json!({"device_id": "A"});
    let telling = json!({"device_id": "B", "device_type": "2", "org_info": {"l1Code": "SKR"}});
    for own in [silent, telling] {
        check(&merchant, own).await;
    }
    let b = seen(&merchant, "B").await;
    assert_eq!(b["project_id"], "stores");
    assert_eq!(b["device_type"], "2");
    assert_eq!(b["org_info"], json!([{"l1Code": "SKR"}]));
    let a = seen(&merchant, "A").await;
    assert_eq!(a["project_id"], "stores");
    assert_eq!(a["device_type"], "1");
    assert_eq!(a["org_info"], json!([{"l1Code": "HM"}]));
}

async fn devices_are_listed_by_id_and_filtered(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let store = |code: &str| json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": code});
    let devices = json!([
        {"device_id": "b", "project_id": "stores", "device_type": "1", "org_info": store("8007")},
        {"device_id": "B", "project_id": "stores", "device_type": "2", "org_info": store("80071")},
        {"device_id": "a", "project_id": "depots", "org_info": [{"l1Code": "hm"}, {"l1Code": "HM", "l2Code": "HM-BJ"}]},
        {"device_id": "c", "project_id": "depots", "org_info": {"l2Code": "HM-SH"}},
        {"device_id": "d", "project_id": "depots", "org_info": {"l1Code": "\"},{\"l1Code\":\"HM\""}},
    ]);
    import(&merchant.admin, &devices).await;
    check(&merchant, json!({"device_id": "a", "old_versions": {CHUKU: 240}})).await;
    check(&merchant, json!({"device_id": "b", "version_code": 51})).await;
    seen(&merchant, "b").await;
    for (filter, ids) in [
        ("", &["B", "a", "b", "c", "d"][..]),
        ("&project_id=stores", &["B", "b"]),
        ("&project_id=Stores", &[]),
        ("&device_type=2", &["B"]),
        ("&org=HM", &["B", "a", "b"]),
        ("&org=HM/HM-SH", &["B", "b"]),
        ("&org=HM/HM-SH/8007", &["b"]),
        ("&org=HM/HM-SH/8007/1", &[]),
        ("&org=H", &[]),
        ("&org=hm", &["a"]),
        ("&org=HM-SH", &[]),
        ("&org=HM&project_id=depots", &["a"]),
        ("&package_name=com.hema.wms", &["a", "b"]),
        ("&package_name=com.hema", &[]),
        (
            "&package_name=com.hema.wms&identifier=com.hema.wms&version_code=50",
            &["a"],
        ),
        ("&package_name=com.hema.wms&identifier=com.hema.wms.chuku", &["a"]),
        (
            "&package_name=com.hema.wms&identifier=com.hema.wms.chuku&version_code=241",
            &[],
        ),
    ] {
        assert_eq!(list(&merchant, filter).await, ids, "{filter}");
    }
}

async fn an_id_may_hold_any_character_but_control_ones(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let ids = [
        "a/b", "/", "a%2Fb", "100%", "a+b", "a b", "店", "a?b#c", "a\\b", "'; --", "a.b",
    ];
    let devices: Vec<_> = ids
        .iter()
        .map(|id| json!({"device_id": id, "project_id": "stores"}))
        .collect();
    import(&merchant.admin, &json!(devices)).await;
    for id in ids {
        let found = merchant.admin.get(&device(id)).await.expect(200);
        assert_eq!(found["device_id"], id);
    }
    assert_eq!(list(&merchant, "").await.len(), ids.len());
    for absent in ["a", "a%2fb", "a%00b", &"x".repeat(129)] {
        let path = in_tenant(&format!("/devices/{absent}"));
        let expected = if absent == "a%2fb" { 200 } else { 404 };
        assert_eq!(merchant.admin.get(&path).await.status, expected, "{absent}");
    }
}

async fn a_device_has_a_tag_that_changes_with_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let etag = async || {
        let answer = merchant.admin.get(&device("A")).await;
        answer.header("etag").to_owned()
    };
    import(
        &merchant.admin,
        &json!([{"device_id": "A", "project_id": "stores"}]),
    )
    .await;
    let first = etag().await;
    assert!(first.starts_with('"') && first.len() > 2, "{first}");
    assert_eq!(etag().await, first);
    check(&merchant, json!({"device_id": "A"})).await;
    seen(&merchant, "A").await;
    assert_ne!(etag().await, first);
}

async fn another_tenants_device_is_not_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let other = app.tenant_admin(TENANT + 1).await;
    let theirs = format!("/api/v1/tenants/{}/devices", TENANT + 1);
    import(
        &merchant.admin,
        &json!([{"device_id": "A", "project_id": "stores"}]),
    )
    .await;
    check(&merchant, json!({"device_id": "B"})).await;
    seen(&merchant, "B").await;
    for id in ["A", "B"] {
        let path = format!("{theirs}/{id}");
        other.get(&path).await.problem(404, "not_found");
        other.get(&device(id)).await.problem(404, "not_found");
    }
    // The same id in two tenants means two devices.
    let body = json!({"devices": [{"device_id": "A", "project_id": "theirs"}]});
    let done = other.post(&theirs, &body).await.expect(200);
    assert_eq!(done["created"], 1);
    let own = merchant.admin.get(&device("A")).await.expect(200);
    assert_eq!(own["project_id"], "stores");
}

fn device(id: &str) -> String {
    in_tenant(&format!("/devices/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)))
}

async fn import(caller: &Caller, devices: &Value) -> Value {
    let body = json!({"devices": devices});
    caller.post(&in_tenant("/devices"), &body).await.expect(200)
}

/// Returns the ids of a list, read in pages of two.
async fn list(merchant: &Merchant, filter: &str) -> Vec<String> {
    let devices = in_tenant(&format!("/devices?limit=2{filter}"));
    let items = every_item(&merchant.admin, &devices).await;
    let id = |device: &Value| device["device_id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

async fn check(merchant: &Merchant, own: Value) {
    let check = with(check_fields(), own);
    merchant.device.post("/v1/check", &check).await.expect(200);
}

/// Waits until a check of a device is recorded, and returns the device.
async fn seen(merchant: &Merchant, id: &str) -> Value {
    let is_seen = |device: &Value| !device["last_seen_at"].is_null();
    let found = merchant.admin.get_once(&device(id), is_seen).await;
    assert_eq!(found["installs"][0]["package_name"], PACKAGE);
    found
}

on_both_databases!(
    an_import_makes_devices_known,
    the_same_import_again_changes_nothing,
    an_import_with_an_idempotency_key_is_done_once,
    an_import_is_completed_from_the_org_directory,
    a_check_leaves_the_project_and_tells_the_rest,
    devices_are_listed_by_id_and_filtered,
    an_id_may_hold_any_character_but_control_ones,
    a_device_has_a_tag_that_changes_with_it,
    another_tenants_device_is_not_there,
);
