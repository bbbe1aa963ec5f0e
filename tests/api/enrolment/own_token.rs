//! Permissions of a device's own token.

use serde_json::{Value, json};
use slipway::services::ServiceError;
use slipway::services::authentication::authenticate_device;
use slipway_domain::catalog::text::DeviceId;

use super::{audited, check, check_again, enrol, enrol_with, enrolled, first, merchant, registered};
use crate::api::harness::{CHUKU, TENANT, TestApp, check_fields, in_tenant, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_device_enrols_and_checks_with_a_token_of_its_own(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    merchant.published(CHUKU, 1).await;
    let token = first(&app, &merchant, "A").await;
    assert!(token.token().starts_with("slipway_devicetoken_10000000_1_"));
    let offers = check(&token, "A").await.expect(200)["data"].clone();
    assert_eq!(offers[0]["identifier"], CHUKU);
    check_again(&token, "A").await.expect(200);
    // A claim to belong to another tenant is refused, as with a device key.
    let claim = with(check_fields(), json!({"device_id": "A", "tenant_id": TENANT + 1}));
    token
        .post("/v1/check", &claim)
        .await
        .problem(403, "permission_denied");
    for other in ["B", "a", "A ", "A\u{301}"] {
        check(&token, other).await.problem(401, "unauthenticated");
    }
    check_again(&token, "B").await.problem(401, "unauthenticated");
    // Errors of a check are reported to a device with its token as with the key.
    let wrong = with(check_fields(), json!({"device_id": "A", "version_code": "x"}));
    assert_eq!(
        token.post("/v1/check", &wrong).await.wrong_fields(),
        ["version_code"]
    );
}

async fn a_device_key_checks_for_enrolled_devices_as_before(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    first(&app, &merchant, "A").await;
    check(&merchant.device, "A").await.expect(200);
}

async fn an_enrolment_tells_what_a_check_would(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let nodes = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    let platform = app.platform_admin().await;
    platform
        .put(&in_tenant("/org-directory"), &nodes)
        .await
        .expect(200);
    let own = json!({"device_type": "10013", "org_info": r#"{"l3":8007}"#,
        "attributes": {"abi": "arm64-v8a", "screen": {"width": 800}, "none": null}});
    let token = enrolled(&app, enrol_with(&merchant.device, "A", own).await, 201);
    let known = registered(&merchant, "A").await;
    assert_eq!(known["project_id"], "stores");
    assert_eq!(known["device_type"], "10013");
    assert_eq!(
        known["org_info"],
        json!([{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}])
    );
    let attributes = json!({"abi": "arm64-v8a", "screen.width": "800"});
    assert_eq!(known["attributes"], attributes);
    assert_eq!(known["enrolled"], true);
    assert!(!known["first_seen_at"].is_null() && !known["last_seen_at"].is_null());
    // Absent, null, blank and empty fields keep their values.
    let silent = json!({"device_type": " ", "org_info": {}, "attributes": null, "enrolment_code": ""});
    enrol_with(&token, "A", silent).await.expect(200);
    assert_eq!(registered(&merchant, "A").await, known);
}

async fn a_device_enrols_again_with_its_token(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    let events = audited(&merchant).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["action"], "device.enrol");
    assert_eq!(events[0]["before"], json!({"project_id": null}));

    let new = enrolled(&app, enrol(&old, "A").await, 200);
    check(&new, "A").await.expect(200);
    // This node detects it at once.
    check(&old, "A").await.problem(401, "unauthenticated");
    enrol(&old, "A").await.problem(401, "unauthenticated");
    assert_eq!(audited(&merchant).await.len(), 1, "nothing changed but the token");

    let moved = enrol_with(&new, "A", json!({"project_id": "depots"})).await;
    let moved = enrolled(&app, moved, 200);
    assert_eq!(registered(&merchant, "A").await["project_id"], "depots");
    let event = audited(&merchant).await[0].clone();
    assert_eq!(event["before"], json!({"project_id": "stores"}));
    assert_eq!(event["after"]["project_id"], "depots");
    assert_eq!(event["actor"], "device:A");
    assert!(!event.to_string().contains(moved.token()));
}

async fn device_operations_require_the_newest_token(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (a, b) = (
        first(&app, &merchant, "A").await,
        first(&app, &merchant, "B").await,
    );
    let context = &app.running.context;
    let come = async |bearer: Option<&str>, device: &str| {
        let device = DeviceId::parse(device).unwrap();
        authenticate_device(context, bearer, &device).await
    };
    let scope = come(Some(a.token()), "A").await.unwrap().scope;
    assert_eq!(scope.tenant().tenant().get(), TENANT);
    assert_eq!(scope.device().as_str(), "A");
    for (bearer, device) in [(b.token(), "A"), (a.token(), "B"), (merchant.device.token(), "A")] {
        let refused = come(Some(bearer), device).await;
        assert!(matches!(refused, Err(ServiceError::NotFound(_))), "{device}");
    }
    for bearer in [
        None,
        Some(""),
        Some("slipway_devicetoken_10000000_1_"),
        Some("slipway_device_10000000_x_y"),
        Some(merchant.admin.token()),
    ] {
        let refused = come(bearer, "A").await;
        assert!(
            matches!(refused, Err(ServiceError::Unauthenticated(_))),
            "{bearer:?}"
        );
    }
    let new = enrolled(&app, enrol(&a, "A").await, 200);
    let refused = come(Some(a.token()), "A").await;
    assert!(matches!(refused, Err(ServiceError::Unauthenticated(_))));
    come(Some(new.token()), "A").await.unwrap();
    let platform = app.platform_admin().await;
    platform
        .patch(&in_tenant(""), &json!({"enabled": false}))
        .await
        .expect(200);
    let refused = come(Some(new.token()), "A").await;
    assert!(matches!(refused, Err(ServiceError::PermissionDenied(_))));
}

async fn a_disabled_tenants_devices_neither_check_nor_enrol(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let token = first(&app, &merchant, "A").await;
    let code = super::code(&merchant.admin, "A").await;
    let platform = app.platform_admin().await;
    let set = async |enabled: bool| {
        let body = json!({"enabled": enabled});
        platform.patch(&in_tenant(""), &body).await.expect(200)
    };
    set(false).await;
    let with_code = json!({"enrolment_code": code});
    for refused in [
        check(&token, "A").await,
        enrol(&token, "A").await,
        enrol(&merchant.device, "B").await,
        enrol_with(&merchant.device, "A", with_code.clone()).await,
    ] {
        refused.problem(403, "permission_denied");
    }
    set(true).await;
    check(&token, "A").await.expect(200);
    enrol_with(&merchant.device, "A", with_code).await.expect(200);
}

async fn a_token_is_told_from_other_credentials(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let token = first(&app, &merchant, "A").await;
    token.get("/api/v1/me").await.problem(401, "unauthenticated");
    let body = json!({"refresh_token": token.token()});
    let refresh = app.anyone().post("/api/v1/auth/refresh", &body).await;
    refresh.problem(401, "unauthenticated");
    // Every character is significant, including those of the tenant's number.
    let text = token.token();
    for (from, to) in [("_10000000_", "_20000000_"), ("_1_", "_2_"), ("_1_", "_01_")] {
        let forged = app.bearer(&text.replacen(from, to, 1));
        check(&forged, "A").await.problem(401, "unauthenticated");
        enrol(&forged, "A").await.problem(401, "unauthenticated");
    }
    for wrong in [&text[..text.len() - 1], &format!("{text}0"), &text.to_uppercase()] {
        check(&app.bearer(wrong), "A")
            .await
            .problem(401, "unauthenticated");
    }
    let listed: Value = merchant.admin.get(&in_tenant("/devices")).await.expect(200);
    assert!(!listed.to_string().contains("slipway_devicetoken"));
}

on_both_databases!(
    a_device_enrols_and_checks_with_a_token_of_its_own,
    a_device_key_checks_for_enrolled_devices_as_before,
    an_enrolment_tells_what_a_check_would,
    a_device_enrols_again_with_its_token,
    device_operations_require_the_newest_token,
    a_disabled_tenants_devices_neither_check_nor_enrol,
    a_token_is_told_from_other_credentials,
);
