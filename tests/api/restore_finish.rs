//! `slipway restore-finish`: ends credentials and pushes that a restore revived.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::harness::{
    ADMIN, Caller, DEADLINE, PASSWORD, SECRET_KEY, TENANT, TestApp, check_fields, in_tenant, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::program::{self, Outcome};
use slipway_test_support::wait::until;

async fn run(app: &TestApp, arguments: &[&str]) -> Outcome {
    let directory = TempDir::new().unwrap();
    let variables = [
        ("SLIPWAY_DATABASE_URL", app.database.url.as_str()),
        ("SLIPWAY_SECRET_KEY", SECRET_KEY),
    ];
    program::run(directory.path(), arguments, &variables, "").await
}

async fn enrol(app: &TestApp, by: &Caller, device: &str) -> Caller {
    let fields = json!({"device_id": device, "project_id": "stores"});
    let answer = by.post("/v1/devices", &fields).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text);
    app.bearer(answer.body["device_token"].as_str().unwrap())
}

async fn check(caller: &Caller, device: &str) -> u16 {
    let fields = with(check_fields(), json!({"device_id": device}));
    caller.post("/v1/check", &fields).await.status
}

async fn a_restore_is_finished_under_a_running_node(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let key = admin
        .post(&in_tenant("/device-keys"), &json!({"name": "handhelds"}))
        .await
        .expect(201);
    let by_key = app.bearer(key["device_key"].as_str().unwrap());
    let token = admin
        .post(
            &in_tenant("/api-tokens"),
            &json!({"name": "ci", "role": "viewer"}),
        )
        .await
        .expect(201);
    let app_key = admin
        .post(&in_tenant("/app-keys"), &json!({"name": "SDK", "role": "device"}))
        .await
        .expect(201);
    let valid = enrol(&app, &by_key, "A").await;
    let revoked = enrol(&app, &by_key, "B").await;
    admin.delete(&in_tenant("/devices/B/token")).await.expect(204);
    let mut codes = Vec::new();
    for device in ["A", "B"] {
        let path = in_tenant(&format!("/devices/{device}/enrolment-codes"));
        codes.push(admin.post(&path, &json!({})).await.expect(201)["enrolment_code"].clone());
    }
    assert_eq!((check(&valid, "A").await, check(&revoked, "B").await), (200, 401));
    let poll = {
        let valid = valid.clone();
        tokio::spawn(async move { valid.get("/v1/devices/A/pushes?wait_s=60").await.status })
    };

    let said = run(&app, &["restore-finish"]).await.expect_success();
    assert!(said.contains("device tokens ended: 1 "), "{said}");
    assert!(said.contains("one-time enrolment codes deleted: 2"), "{said}");
    for (kind, id) in [("device_key", &key), ("api_token", &token), ("app_key", &app_key)] {
        let id = id["id"].as_str().unwrap();
        let line = said.lines().find(|line| line.contains(id)).unwrap();
        assert!(line.starts_with(&format!("{kind}\t{TENANT}\t")), "{line}");
        assert!(
            line.contains(&format!("admin-{TENANT}")),
            "it names the maker: {line}"
        );
    }
    assert!(
        said.lines()
            .any(|line| line.starts_with("user\t-\t") && line.contains(ADMIN)),
        "{said}"
    );

    admin
        .get(&in_tenant("/apps"))
        .await
        .problem(401, "unauthenticated");
    until("the node refuses the token", DEADLINE, async || {
        check(&valid, "A").await == 401
    })
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(30), poll).await;
    assert_eq!(ended.expect("the poll ends at once").unwrap(), 401);
    valid
        .get("/v1/devices/A/pushes")
        .await
        .problem(401, "unauthenticated");
    // The token does not renew itself either.
    let own = json!({"device_id": "A", "project_id": "stores"});
    valid
        .post("/v1/devices", &own)
        .await
        .problem(401, "unauthenticated");

    let again = enrol(&app, &by_key, "A").await;
    assert_eq!(check(&again, "A").await, 200);
    again.get("/v1/devices/A/pushes").await.expect(200);
    // A token revoked before the backup stays revoked, and no older code enrols the device.
    let other = json!({"device_id": "B", "project_id": "stores"});
    by_key
        .post("/v1/devices", &other)
        .await
        .problem(409, "already_enrolled");
    let with_code = with(other, json!({"enrolment_code": codes[1]}));
    assert_eq!(
        by_key.post("/v1/devices", &with_code).await.wrong_fields(),
        ["enrolment_code"]
    );

    let platform = app.login(ADMIN, PASSWORD).await;
    let audit = platform.get("/api/v1/audit").await.expect(200);
    assert_eq!(audit["items"][0]["action"], "installation.restore_finish");
}

/// A device that enrolled after the backup is absent from the restored database. Its token still carries a valid
/// signature.
async fn a_token_of_a_device_that_the_backup_does_not_have_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let by_key = app.device(&admin, TENANT).await;
    let lost = enrol(&app, &by_key, "A").await;
    let renewed = enrol(&app, &lost, "A").await;
    app.database.forget_device_tokens().await;
    run(&app, &["restore-finish"]).await.expect_success();
    for token in [&lost, &renewed] {
        until("the node refuses the token", DEADLINE, async || {
            check(token, "A").await == 401
        })
        .await;
    }
    let again = enrol(&app, &by_key, "A").await;
    assert_eq!(check(&again, "A").await, 200);
    // After a second restore, to a state before the first was finished, these are ended too.
    run(&app, &["restore-finish"]).await.expect_success();
    until("the node refuses the token", DEADLINE, async || {
        check(&again, "A").await == 401
    })
    .await;
}

async fn guarded_devices_come_back_with_a_code_alone(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let by_key = app.device(&admin, TENANT).await;
    enrol(&app, &by_key, "A").await;
    run(&app, &["restore-finish", "--guard-devices"])
        .await
        .expect_success();
    let fields = json!({"device_id": "A", "project_id": "stores"});
    by_key
        .post("/v1/devices", &fields)
        .await
        .problem(409, "already_enrolled");
    let platform = app.login(ADMIN, PASSWORD).await;
    let code: Value = platform
        .post(&in_tenant("/devices/A/enrolment-codes"), &json!({}))
        .await
        .expect(201);
    let fields = with(fields, json!({"enrolment_code": code["enrolment_code"]}));
    assert!(by_key.post("/v1/devices", &fields).await.status < 300);
}

on_both_databases! {
    a_restore_is_finished_under_a_running_node,
    a_token_of_a_device_that_the_backup_does_not_have_is_refused,
    guarded_devices_come_back_with_a_code_alone,
}
