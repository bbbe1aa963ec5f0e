//! Ambiguous input that is refused or reported instead of being interpreted.

use reqwest::Method;
use serde_json::{Value, json};
use slipway_resolver::Rule;

use super::harness::{TENANT, TestApp, app_fields, release_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn arrays_are_not_taken_for_objects(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let admin = app.tenant_admin(TENANT).await;
    assert_eq!(
        platform
            .post("/api/v1/tenants", &json!([7, "x"]))
            .await
            .wrong_fields(),
        ["body"]
    );
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let releases = format!("{apps}/com.hema.wms/releases");
    for (field, value) in [
        ("org_scopes[0]", json!({"org_scopes": [["HM"]]})),
        ("rollout", json!({"rollout": [5]})),
        (
            "attribute_rules[0]",
            json!({"attribute_rules": [["a", "eq", "b"]]}),
        ),
    ] {
        let mut fields = release_fields("com.hema.wms.chuku", 240);
        for (name, value) in value.as_object().unwrap() {
            fields[name] = value.clone();
        }
        assert_eq!(admin.post(&releases, &fields).await.wrong_fields(), [field]);
    }
    let directory = json!({"nodes": [[["HM"]]]});
    let path = format!("/api/v1/tenants/{TENANT}/org-directory");
    assert_eq!(admin.put(&path, &directory).await.wrong_fields(), ["nodes[0]"]);
    let device = app.device(&admin, TENANT).await;
    let check = json!(["com.hema.wms", 50, "PDA001"]);
    assert_eq!(device.post("/v1/check", &check).await.wrong_fields(), ["body"]);
}

async fn a_cursor_that_no_list_gave_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    // "AA" is a NUL, "Cg" a line feed.
    for cursor in ["AA", "Cg", "%00", "=", "zz zz"] {
        let path = format!("/api/v1/tenants/{TENANT}/apps?cursor={cursor}");
        assert_eq!(admin.get(&path).await.wrong_fields(), ["cursor"], "{cursor}");
    }
}

async fn if_match_with_a_star_demands_that_the_pin_is_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let releases = format!("{apps}/com.hema.wms/releases");
    admin
        .post(&releases, &release_fields("com.hema.wms", 1))
        .await
        .expect(201);
    let pin = json!({"package_name": "com.hema.wms", "identifier": "com.hema.wms", "device_id": "PDA001",
        "mode": "hold", "reason": "stock-taking"});
    let path = format!("/api/v1/tenants/{TENANT}/pins");
    let demanding = || {
        admin
            .request(Method::PUT, &path)
            .header("If-Match", "*")
            .json(&pin)
    };
    admin.send(demanding()).await.problem(412, "stale");
    admin.put(&path, &pin).await.expect(200);
    admin.send(demanding()).await.expect(200);
}

async fn only_fields_that_were_given_are_ignored(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let releases = format!("{apps}/com.hema.wms/releases");
    let mut fields = release_fields("com.hema.wms", 1);
    fields["rollout"] = json!({"percent": 10});
    admin.post(&releases, &fields).await.expect(201);
    let again = release_fields("com.hema.wms", 1);
    assert_eq!(
        admin.post(&releases, &again).await.expect(200)["ignored"],
        json!([])
    );
    fields["rollout"] = json!({"percent": 20});
    fields["update_desc"] = json!("other");
    let ignored = admin.post(&releases, &fields).await.expect(200)["ignored"].clone();
    assert_eq!(ignored, json!(["update_desc", "rollout"]));
}

on_both_databases!(
    arrays_are_not_taken_for_objects,
    a_cursor_that_no_list_gave_is_refused,
    if_match_with_a_star_demands_that_the_pin_is_there,
    only_fields_that_were_given_are_ignored,
);

#[test]
fn the_description_lists_every_rule_of_an_explanation() {
    let description = slipway::http::openapi();
    let described = &description["components"]["schemas"]["RuleName"]["enum"];
    let rules: Vec<Value> = Rule::ALL.iter().map(|rule| json!(rule.as_str())).collect();
    assert_eq!(*described, json!(rules));
}
