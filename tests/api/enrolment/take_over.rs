//! Attempts to take over another device.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use super::{
    audited, check, code, enrol, enrol_with, enrolled, first, import, merchant, path, registered,
    set_enrolment,
};
use crate::api::harness::{TENANT, TestApp, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn with_the_device_key_alone_nobody_takes_an_enrolled_device_over(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let token = first(&app, &merchant, "A").await;
    let before = registered(&merchant, "A").await;
    let another_key = app.device(&app.platform_admin().await, TENANT).await;
    for thief in [&merchant.device, &another_key] {
        for own in [
            json!({}),
            json!({"project_id": "depots"}),
            json!({"device_type": "2", "org_info": {"l1Code": "HM"}, "attributes": {"a": 1}}),
        ] {
            let refused = enrol_with(thief, "A", own).await;
            let problem = refused.problem(409, "already_enrolled");
            assert!(!problem.to_string().contains("stores"), "{problem}");
        }
    }
    assert_eq!(registered(&merchant, "A").await, before);
    check(&token, "A").await.expect(200);
    // Audited once, because repetitions must not fill the audit.
    let events = audited(&merchant).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["action"], "device.refuse_enrolment");
    assert_eq!(events[0]["object_id"], "A");
    assert_eq!(events[0]["actor_name"], "devices");
    let actor = events[0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("device_key:"), "{actor}");
    assert_eq!(
        events[0]["after"],
        json!({"reason": "already_enrolled", "project_id": "stores", "address": "127.0.0.1"})
    );
}

async fn another_devices_token_enrols_itself_alone(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (a, b) = (
        first(&app, &merchant, "A").await,
        first(&app, &merchant, "B").await,
    );
    import(&merchant.admin, "C", "stores").await;
    for victim in ["A", "C", "unknown"] {
        enrol(&b, victim).await.problem(401, "unauthenticated");
    }
    check(&a, "A").await.expect(200);
    let listed = merchant.admin.get(&in_tenant("/devices")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
}

async fn the_same_id_in_another_tenant_is_another_device(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let own = first(&app, &merchant, "A").await;
    let other_admin = app.tenant_admin(TENANT + 1).await;
    let other_key = app.device(&other_admin, TENANT + 1).await;
    let theirs = enrolled(&app, enrol(&other_key, "A").await, 201);
    for (token, tenant) in [(&own, TENANT), (&theirs, TENANT + 1)] {
        let body = json!({"package_name": "x", "version_code": 1, "device_id": "A", "tenant_id": tenant});
        token.post("/v1/check", &body).await.expect(200);
    }
    // A code of another tenant is invalid here.
    let path = format!("/api/v1/tenants/{}/devices/A/enrolment-codes", TENANT + 1);
    let made = other_admin.post(&path, &json!({})).await.expect(201);
    let code = json!({"enrolment_code": made["enrolment_code"]});
    let refused = enrol_with(&merchant.device, "A", code.clone()).await;
    assert_eq!(refused.wrong_fields(), ["enrolment_code"]);
    enrol_with(&other_key, "A", code).await.expect(200);
    check(&own, "A").await.expect(200);
}

async fn an_imported_device_keeps_its_project(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    for device in ["A", "B"] {
        import(&merchant.admin, device, "depots").await;
    }
    let refused = enrol(&merchant.device, "A").await;
    let problem = refused.problem(409, "wrong_state");
    assert!(!problem.to_string().contains("depots"), "{problem}");
    let event = audited(&merchant).await[0].clone();
    assert_eq!(event["after"]["reason"], "other_project");
    let known = registered(&merchant, "A").await;
    assert_eq!(
        (&known["project_id"], &known["enrolled"]),
        (&json!("depots"), &json!(false))
    );
    let right = json!({"project_id": "depots"});
    enrol_with(&merchant.device, "A", right).await.expect(201);
    // A code proves that people of the tenant permit it.
    let code = json!({"enrolment_code": code(&merchant.admin, "B").await});
    enrol_with(&merchant.device, "B", code).await.expect(201);
    assert_eq!(registered(&merchant, "B").await["project_id"], "stores");
}

async fn a_revoked_token_is_good_for_nothing_and_a_code_alone_helps(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let lost = first(&app, &merchant, "A").await;
    let token_path = format!("{}/token", path("A"));
    merchant.admin.delete(&token_path).await.expect(204);
    check(&lost, "A").await.problem(401, "unauthenticated");
    enrol(&lost, "A").await.problem(401, "unauthenticated");
    enrol(&merchant.device, "A")
        .await
        .problem(409, "already_enrolled");
    assert_eq!(registered(&merchant, "A").await["enrolled"], false);
    merchant.admin.delete(&token_path).await.problem(404, "not_found");
    let none = format!("{}/token", path("B"));
    merchant.admin.delete(&none).await.problem(404, "not_found");
    let revoked = audited(&merchant).await;
    assert!(
        revoked
            .iter()
            .any(|event| event["action"] == "device.revoke_token")
    );

    let code = json!({"enrolment_code": code(&merchant.admin, "A").await});
    let found = enrolled(&app, enrol_with(&merchant.device, "A", code).await, 201);
    check(&found, "A").await.expect(200);
    check(&lost, "A").await.problem(401, "unauthenticated");
}

async fn a_deleted_devices_token_stays_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    let code = code(&merchant.admin, "A").await;
    let stale = merchant
        .admin
        .call_with(
            ("If-Match", "\"x\""),
            reqwest::Method::DELETE,
            &path("A"),
            &json!(null),
        )
        .await;
    stale.problem(412, "stale");
    let etag = merchant.admin.get(&path("A")).await.header("etag").to_owned();
    let deleted = merchant
        .admin
        .call_with(
            ("If-Match", &etag),
            reqwest::Method::DELETE,
            &path("A"),
            &json!(null),
        )
        .await;
    deleted.expect(204);
    merchant.admin.get(&path("A")).await.problem(404, "not_found");
    merchant.admin.delete(&path("A")).await.problem(404, "not_found");
    let event = audited(&merchant).await[0].clone();
    assert_eq!(event["action"], "device.delete");
    assert_eq!(event["before"]["project_id"], "stores");

    check(&old, "A").await.problem(401, "unauthenticated");
    enrol(&old, "A").await.problem(401, "unauthenticated");
    let used = enrol_with(&merchant.device, "A", json!({"enrolment_code": code})).await;
    assert_eq!(used.wrong_fields(), ["enrolment_code"]);
    // Answered like any unknown id, and for any project.
    let other = enrol_with(&merchant.device, "A", json!({"project_id": "depots"})).await;
    let new = enrolled(&app, other, 201);
    check(&new, "A").await.expect(200);
    check(&old, "A").await.problem(401, "unauthenticated");
}

async fn a_tenant_may_ask_for_a_code_the_first_time(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let before = first(&app, &merchant, "before").await;
    set_enrolment(&app, "code").await;
    import(&merchant.admin, "A", "stores").await;
    for device in ["A", "unknown"] {
        let refused = enrol(&merchant.device, device).await;
        assert_eq!(refused.wrong_fields(), ["enrolment_code"], "{device}");
    }
    merchant
        .admin
        .get(&path("unknown"))
        .await
        .problem(404, "not_found");
    enrol(&merchant.device, "before")
        .await
        .problem(409, "already_enrolled");
    let code = json!({"enrolment_code": code(&merchant.admin, "A").await});
    let token = enrolled(&app, enrol_with(&merchant.device, "A", code).await, 201);
    // Its own token permits it afterwards.
    enrol(&token, "A").await.expect(200);
    enrol(&before, "before").await.expect(200);
    set_enrolment(&app, "key").await;
    first(&app, &merchant, "B").await;
}

async fn of_enrolments_at_once_one_wins(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let (node, elsewhere) = app.at_another_node(&merchant.device).await;
    let callers = || [&merchant.device, &elsewhere].into_iter().cycle().take(8);

    let firsts = join_all(callers().map(|caller| enrol(caller, "A"))).await;
    assert_eq!(statuses(&firsts), BTreeMap::from([(201, 1), (409, 7)]));
    let winner = firsts.into_iter().find(|answer| answer.status == 201);
    let token = enrolled(&app, winner.unwrap(), 201);
    check(&token, "A").await.expect(200);

    let code = json!({"enrolment_code": code(&merchant.admin, "A").await});
    let by_code = join_all(callers().map(|caller| enrol_with(caller, "A", code.clone()))).await;
    assert_eq!(statuses(&by_code), BTreeMap::from([(200, 1), (400, 7)]));
    let winner = by_code.into_iter().find(|answer| answer.status == 200);
    let token = enrolled(&app, winner.unwrap(), 200);

    let again = join_all((0..8).map(|_| enrol(&token, "A"))).await;
    assert_eq!(statuses(&again), BTreeMap::from([(200, 1), (401, 7)]));
    let winner = again.into_iter().find(|answer| answer.status == 200);
    check(&enrolled(&app, winner.unwrap(), 200), "A")
        .await
        .expect(200);
    node.stop().await.unwrap();
}

fn statuses(answers: &[crate::api::harness::Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

on_both_databases!(
    with_the_device_key_alone_nobody_takes_an_enrolled_device_over,
    another_devices_token_enrols_itself_alone,
    the_same_id_in_another_tenant_is_another_device,
    an_imported_device_keeps_its_project,
    a_revoked_token_is_good_for_nothing_and_a_code_alone_helps,
    a_deleted_devices_token_stays_refused,
    a_tenant_may_ask_for_a_code_the_first_time,
    of_enrolments_at_once_one_wins,
);
