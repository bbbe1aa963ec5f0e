//! One-time codes.

use reqwest::Method;
use serde_json::json;

use super::{audited, check, code, enrol_with, enrolled, first, import, merchant, path, registered};
use crate::api::harness::{NOW, TestApp};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_code_enrols_its_device_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    import(&merchant.admin, "B", "stores").await;
    let code = code(&merchant.admin, "A").await;
    assert!(code.starts_with("slipway_code_"), "{code}");
    let with_code = json!({"enrolment_code": code, "project_id": "depots"});
    let elsewhere = enrol_with(&merchant.device, "B", with_code.clone()).await;
    assert_eq!(elsewhere.wrong_fields(), ["enrolment_code"]);
    check(&old, "A").await.expect(200);

    let new = enrolled(
        &app,
        enrol_with(&merchant.device, "A", with_code.clone()).await,
        200,
    );
    check(&new, "A").await.expect(200);
    check(&old, "A").await.problem(401, "unauthenticated");
    assert_eq!(registered(&merchant, "A").await["project_id"], "depots");
    let event = audited(&merchant).await[0].clone();
    assert_eq!(event["after"]["by"], "enrolment_code");
    for caller in [&merchant.device, &new] {
        let again = enrol_with(caller, "A", with_code.clone()).await;
        assert_eq!(again.wrong_fields(), ["enrolment_code"], "used");
    }
    check(&new, "A").await.expect(200);
}

async fn a_code_may_be_typed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    first(&app, &merchant, "A").await;
    let code = code(&merchant.admin, "A").await;
    let typed = code.trim_start_matches("slipway_code_").to_lowercase();
    let typed = json!({"enrolment_code": format!(" {} ", typed.replace('-', " "))});
    enrol_with(&merchant.device, "A", typed).await.expect(200);
}

async fn a_code_is_good_for_a_day_and_until_the_next_is_made(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    first(&app, &merchant, "A").await;
    let made_at = path("A/enrolment-codes");
    let made = merchant.admin.post(&made_at, &json!({})).await.expect(201);
    assert_eq!(made["expires_at"], "2026-03-03T02:00:00Z");
    let replaced = json!({"enrolment_code": made["enrolment_code"]});
    let newest = json!({"enrolment_code": code(&merchant.admin, "A").await});
    let refused = enrol_with(&merchant.device, "A", replaced).await;
    assert_eq!(refused.wrong_fields(), ["enrolment_code"]);
    app.set_clock("2026-03-03T02:00:00Z");
    let refused = enrol_with(&merchant.device, "A", newest.clone()).await;
    assert_eq!(refused.wrong_fields(), ["enrolment_code"]);
    app.set_clock("2026-03-03T01:59:59Z");
    enrol_with(&merchant.device, "A", newest).await.expect(200);
    app.set_clock(NOW);
}

async fn a_code_is_made_for_a_device_that_is_known_and_shown_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let unknown = merchant.admin.post(&path("A/enrolment-codes"), &json!({})).await;
    unknown.problem(404, "not_found");
    import(&merchant.admin, "A", "stores").await;
    let ask = async || {
        let header = ("Idempotency-Key", "k");
        let path = path("A/enrolment-codes");
        merchant
            .admin
            .call_with(header, Method::POST, &path, &json!({}))
            .await
    };
    let made = ask().await.expect(201);
    let again = ask().await.problem(409, "secret_already_shown");
    assert_eq!(again["id"], made["id"]);
    let audit = merchant.audit().await;
    assert_eq!(audit[0]["action"], "enrolment_code.create");
    assert_eq!(audit[0]["object_id"], "A");
    let shown = made["enrolment_code"].as_str().unwrap();
    assert!(!json!(audit).to_string().contains(shown));
    let body = json!({"enrolment_code": "x"});
    let wrong = merchant.admin.post(&path("A/enrolment-codes"), &body).await;
    assert_eq!(wrong.wrong_fields(), ["enrolment_code"]);
}

on_both_databases!(
    a_code_enrols_its_device_once,
    a_code_may_be_typed,
    a_code_is_good_for_a_day_and_until_the_next_is_made,
    a_code_is_made_for_a_device_that_is_known_and_shown_once,
);
