//! Pins: devices that must stay behind, or on exactly one version.

use serde_json::{Value, json};

use super::harness::{Answer, CHUKU, Merchant, PACKAGE, TestApp, check_fields, every_item, in_tenant, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_pin_is_set_read_listed_and_deleted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let set = put(&merchant, json!({"mode": "ceiling", "version_code": 2})).await;
    let etag = set.header("etag").to_owned();
    let set = set.expect(200);
    assert_eq!(set["package_name"], PACKAGE);
    assert_eq!(set["identifier"], CHUKU);
    assert_eq!(set["device_id"], "PDA001");
    assert_eq!(set["org_path"], Value::Null);
    assert_eq!(set["mode"], "ceiling");
    assert_eq!(set["version_code"], 2);
    assert_eq!(set["expires_at"], Value::Null);
    let path = in_tenant(&format!("/pins/{}", set["id"].as_str().unwrap()));
    let read = merchant.admin.get(&path).await;
    assert_eq!(read.header("etag"), etag);
    assert_eq!(read.expect(200), set);
    assert_eq!(listed(&merchant, "").await, [set]);
    merchant.admin.delete(&path).await.expect(204);
    merchant.admin.get(&path).await.problem(404, "not_found");
    merchant.admin.delete(&path).await.problem(404, "not_found");
    assert_eq!(merchant.offered(0).await, [3]);
}

async fn each_mode_lets_through_what_it_says(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    for (mode, offered) in [
        (json!({"mode": "hold"}), vec![]),
        (json!({"mode": "exact", "version_code": 1}), vec![1]),
        (json!({"mode": "ceiling", "version_code": 2}), vec![2]),
        (json!({"mode": "ceiling", "version_code": 77}), vec![3]),
    ] {
        put(&merchant, mode).await.expect(200);
        assert_eq!(merchant.offered(0).await, offered);
    }
    // A pin never downgrades a device.
    put(&merchant, json!({"mode": "ceiling", "version_code": 1}))
        .await
        .expect(200);
    assert_eq!(merchant.offered(2).await, [0; 0]);
}

async fn the_same_target_again_replaces_the_pin_and_keeps_its_id(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let hold = put(&merchant, json!({"mode": "hold"})).await.expect(200);
    let exact = put(
        &merchant,
        json!({"mode": "exact", "version_code": 2, "reason": "else"}),
    )
    .await
    .expect(200);
    assert_eq!(exact["id"], hold["id"]);
    assert_eq!(exact["created_at"], hold["created_at"]);
    assert_eq!(exact["reason"], "else");
    let other = json!({"mode": "hold", "device_id": "PDA002"});
    let other = put(&merchant, other).await.expect(200);
    assert_ne!(other["id"], hold["id"]);
    assert_eq!(listed(&merchant, "").await, [exact, other]);
}

async fn the_same_pin_again_changes_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let set = put(&merchant, json!({"mode": "hold"})).await;
    let again = put(&merchant, json!({"mode": "hold"})).await;
    assert_eq!(again.header("slipway-revision"), set.header("slipway-revision"));
    assert_eq!(again.header("etag"), set.header("etag"));
    assert_eq!(again.expect(200), set.expect(200));
}

async fn a_pin_counts_until_it_expires(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let pin = json!({"mode": "hold", "expires_at": "2026-03-02T10:05:00+08:00"});
    let set = put(&merchant, pin).await.expect(200);
    assert_eq!(set["expires_at"], "2026-03-02T02:05:00Z");
    app.set_clock("2026-03-02T02:04:59Z");
    assert_eq!(merchant.offered(0).await, [0; 0]);
    app.set_clock("2026-03-02T02:05:00Z");
    assert_eq!(merchant.offered(0).await, [3]);
}

async fn a_node_is_pinned_with_everything_below_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let node = |path: Value| json!({"device_id": null, "org_path": path});
    let region = with(
        node(json!(["HM", "HM-SH"])),
        json!({"mode": "exact", "version_code": 1}),
    );
    let set = put(&merchant, region).await.expect(200);
    assert_eq!(set["org_path"], json!(["HM", "HM-SH"]));
    assert_eq!(set["device_id"], Value::Null);
    let store = with(
        node(json!(["HM", "HM-SH", "8007"])),
        json!({"mode": "exact", "version_code": 2}),
    );
    put(&merchant, store).await.expect(200);
    for (l2, l3, offered) in [("HM-SH", "8007", 2), ("HM-SH", "9001", 1), ("HM-BJ", "8007", 3)] {
        let org = json!({"org_info": {"l1Code": "HM", "l2Code": l2, "l3Code": l3}});
        let answer = merchant
            .device
            .post("/v1/check", &with(check_fields(), org))
            .await
            .expect(200);
        assert_eq!(answer["data"][0]["version_code"], offered, "{l2} {l3}");
    }
    // The device's own pin beats that of its node.
    put(&merchant, json!({"mode": "hold"})).await.expect(200);
    let org = json!({"org_info": {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}});
    let answer = merchant
        .device
        .post("/v1/check", &with(check_fields(), org))
        .await;
    assert_eq!(answer.expect(200)["data"], json!([]));
}

async fn an_exact_pin_needs_a_release_that_is_not_discarded(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let exact = |version: i64| json!({"mode": "exact", "version_code": version});
    let refused = put(&merchant, exact(9)).await;
    assert_eq!(refused.wrong_fields(), ["version_code"]);
    let draft = merchant.draft(CHUKU, 9).await;
    put(&merchant, exact(9)).await.expect(200);
    merchant.take(&draft, "discard", &json!({})).await.expect(200);
    let other = with(exact(9), json!({"device_id": "PDA002"}));
    assert_eq!(put(&merchant, other).await.wrong_fields(), ["version_code"]);
}

async fn wrong_fields_of_a_pin_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    let nothing = merchant.admin.put(&in_tenant("/pins"), &json!({})).await;
    let mut wrong = nothing.wrong_fields();
    wrong.sort();
    assert_eq!(
        wrong,
        ["device_id", "identifier", "mode", "package_name", "reason"]
    );
    for (own, wrong) in [
        (json!({"mode": "hold", "version_code": 1}), "version_code"),
        (json!({"mode": "exact"}), "version_code"),
        (json!({"mode": "ceiling", "version_code": 0}), "version_code"),
        (json!({"mode": "floor"}), "mode"),
        (json!({"mode": "hold", "org_path": ["HM"]}), "org_path"),
        (json!({"mode": "hold", "device_id": null}), "device_id"),
        (
            json!({"mode": "hold", "device_id": null, "org_path": []}),
            "org_path",
        ),
        (json!({"mode": "hold", "reason": ""}), "reason"),
        (json!({"mode": "hold", "expires_at": "tomorrow"}), "expires_at"),
        (
            json!({"mode": "hold", "package_name": "com.other"}),
            "package_name",
        ),
        (json!({"mode": "hold", "identifier": "com.other"}), "identifier"),
        (json!({"mode": "hold", "until": "x"}), "until"),
    ] {
        let fields = put(&merchant, own.clone()).await.wrong_fields();
        assert!(fields.contains(&wrong.to_owned()), "{own} {fields:?}");
    }
    assert!(listed(&merchant, "").await.is_empty());
}

async fn pins_are_filtered_by_app_and_resource(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = three_versions(&app).await;
    merchant.draft(PACKAGE, 60).await;
    let of_chuku = put(&merchant, json!({"mode": "hold"})).await.expect(200);
    let of_itself = put(&merchant, json!({"mode": "hold", "identifier": PACKAGE}))
        .await
        .expect(200);
    let both = [of_chuku.clone(), of_itself.clone()];
    assert_eq!(listed(&merchant, &format!("&package_name={PACKAGE}")).await, both);
    assert_eq!(
        listed(&merchant, &format!("&identifier={CHUKU}")).await,
        [of_chuku]
    );
    let narrow = format!("&identifier={PACKAGE}&package_name={PACKAGE}");
    assert_eq!(listed(&merchant, &narrow).await, [of_itself]);
    assert!(listed(&merchant, "&package_name=com.other").await.is_empty());
}

/// Creates the usual merchant with versions 1 to 3 of [`CHUKU`].
async fn three_versions(app: &TestApp) -> Merchant {
    let merchant = app.merchant().await;
    for version in 1..=3 {
        merchant.published(CHUKU, version).await;
    }
    merchant
}

/// Sets a pin of [`CHUKU`] on the device of the usual check. `own` replaces members.
async fn put(merchant: &Merchant, own: Value) -> Answer {
    let usual = json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "PDA001",
        "reason": "stock-taking"});
    merchant.admin.put(&in_tenant("/pins"), &with(usual, own)).await
}

async fn listed(merchant: &Merchant, filter: &str) -> Vec<Value> {
    every_item(&merchant.admin, &in_tenant(&format!("/pins?limit=1{filter}"))).await
}

on_both_databases!(
    a_pin_is_set_read_listed_and_deleted,
    each_mode_lets_through_what_it_says,
    the_same_target_again_replaces_the_pin_and_keeps_its_id,
    the_same_pin_again_changes_nothing,
    a_pin_counts_until_it_expires,
    a_node_is_pinned_with_everything_below_it,
    an_exact_pin_needs_a_release_that_is_not_discarded,
    wrong_fields_of_a_pin_are_all_named,
    pins_are_filtered_by_app_and_resource,
);
