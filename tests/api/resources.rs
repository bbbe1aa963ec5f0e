//! Resources: parts of an app that are released separately.

use serde_json::{Value, json};

use super::harness::{CHUKU, PACKAGE, TestApp, every_item, in_app, in_tenant, release_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_resource_comes_into_being_with_its_first_release(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let list = async || every_item(&merchant.admin, &in_app("/resources?limit=1")).await;
    assert!(list().await.is_empty());
    merchant.admin.get(&chuku()).await.problem(404, "not_found");
    let refused = merchant.create(&json!({"identifier": CHUKU})).await;
    refused.expect(400);
    assert!(list().await.is_empty());

    merchant.draft(CHUKU, 1).await;
    merchant.draft(PACKAGE, 1).await;
    merchant.draft(CHUKU, 2).await;
    let resources = list().await;
    let kinds: Vec<_> = resources
        .iter()
        .map(|resource| (&resource["identifier"], &resource["kind"]))
        .collect();
    assert_eq!(
        kinds,
        [(&json!(PACKAGE), &json!("apk")), (&json!(CHUKU), &json!("other"))]
    );
    let read = merchant.admin.get(&chuku()).await.expect(200);
    assert_eq!(read, resources[1]);
    assert_eq!(read["name"], Value::Null);
    assert_eq!(read["enabled"], true);
    assert_eq!(read["repair_on_mismatch"], false);
}

async fn what_is_left_out_of_a_change_stays(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let change = async |changes: Value| merchant.admin.patch(&chuku(), &changes).await.expect(200);
    let changed = change(json!({"name": "Outbound", "kind": "miniapp"})).await;
    assert_eq!(changed["name"], "Outbound");
    assert_eq!(changed["kind"], "miniapp");
    let changed = change(json!({"enabled": false, "repair_on_mismatch": true})).await;
    assert_eq!(changed["name"], "Outbound");
    assert_eq!(changed["enabled"], false);
    let changed = change(json!({"name": null})).await;
    assert_eq!(changed["name"], Value::Null);
    assert_eq!(changed["repair_on_mismatch"], true);
    assert_eq!(merchant.admin.get(&chuku()).await.expect(200), changed);
}

async fn wrong_fields_of_a_resource_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let change = async |changes: Value| merchant.admin.patch(&chuku(), &changes).await;
    let changes = json!({"name": "", "kind": "exe", "enabled": null});
    assert_eq!(change(changes).await.wrong_fields(), ["name", "kind", "enabled"]);
    let renamed = change(json!({"identifier": "com.other"})).await;
    assert_eq!(renamed.wrong_fields(), ["identifier"]);
}

async fn an_old_package_name_is_no_identifier(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let old_names = json!({"old_package_names": ["com.old"]});
    merchant.admin.patch(&in_app(""), &old_names).await.expect(200);
    let refused = merchant.create(&release_fields("com.old", 1)).await;
    assert_eq!(refused.wrong_fields(), ["identifier"]);
}

async fn one_resource_can_be_switched_off(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    merchant.published(PACKAGE, 60).await;
    let off = json!({"enabled": false});
    merchant.admin.patch(&chuku(), &off).await.expect(200);
    let offers = merchant.offers(&json!({})).await;
    assert_eq!(offers.as_array().unwrap().len(), 1);
    assert_eq!(offers[0]["identifier"], PACKAGE);
}

async fn a_resource_that_repairs_offers_the_installed_version_again(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let broken = json!({CHUKU: {"versionCode": 240, "md5": "0".repeat(32)}});
    assert_eq!(merchant.offers(&broken).await, json!([]));
    let repair = json!({"repair_on_mismatch": true});
    merchant.admin.patch(&chuku(), &repair).await.expect(200);
    assert_eq!(merchant.offers(&broken).await[0]["version_code"], 240);
    let whole = json!({CHUKU: {"versionCode": 240, "md5": format!("{:032X}", 240)}});
    assert_eq!(merchant.offers(&whole).await, json!([]));
}

async fn the_same_identifier_in_two_apps_is_two_resources(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let other = json!({"package_name": "com.other", "app_name": "Another app"});
    let apps = in_tenant("/apps");
    merchant.admin.post(&apps, &other).await.expect(201);
    merchant.draft(CHUKU, 1).await;
    let fields = with(release_fields(CHUKU, 1), json!({"md5": "f".repeat(32)}));
    let path = format!("{apps}/com.other/releases");
    merchant.admin.post(&path, &fields).await.expect(201);
    let kind = json!({"kind": "config"});
    merchant.admin.patch(&chuku(), &kind).await.expect(200);
    let path = format!("{apps}/com.other/resources/{CHUKU}");
    assert_eq!(merchant.admin.get(&path).await.expect(200)["kind"], "other");
}

fn chuku() -> String {
    in_app(&format!("/resources/{CHUKU}"))
}

on_both_databases!(
    a_resource_comes_into_being_with_its_first_release,
    what_is_left_out_of_a_change_stays,
    wrong_fields_of_a_resource_are_all_named,
    an_old_package_name_is_no_identifier,
    one_resource_can_be_switched_off,
    a_resource_that_repairs_offers_the_installed_version_again,
    the_same_identifier_in_two_apps_is_two_resources,
);
