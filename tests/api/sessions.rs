//! Login, refresh and logout.

use serde_json::{Value, json};

use super::harness::{ADMIN, Answer, Caller, PASSWORD, TENANT, TestApp, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ME: &str = "/api/v1/me";

async fn a_password_opens_a_session(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let signed_in = sign_in(&app, ADMIN, PASSWORD).await.expect(200);
    assert_eq!(signed_in["token_type"], "Bearer");
    assert_eq!(signed_in["expires_in"], 900);
    let me = with_access(&app, &signed_in).get(ME).await.expect(200);
    assert_eq!(me["kind"], "user");
    assert_eq!(me["name"], ADMIN);
    assert_eq!(me["role"], "platform_admin");
    assert_eq!(me.get("tenant_id"), None);
}

async fn a_wrong_password_and_an_unknown_name_look_alike(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let wrong = sign_in(&app, ADMIN, "not the password").await;
    for nobody in ["nobody", "", "no\nbody", &"x".repeat(200)] {
        let unknown = sign_in(&app, nobody, PASSWORD).await;
        assert_eq!((unknown.status, &unknown.text), (wrong.status, &wrong.text));
    }
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    wrong.problem(401, "unauthenticated");
}

async fn usernames_have_no_case(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let person = json!({"username": "Li.Na", "password": "a password of li na", "role": "viewer"});
    let made = admin.post(&in_tenant("/users"), &person).await.expect(201);
    assert_eq!(made["username"], "li.na");
    sign_in(&app, "LI.NA", "a password of li na").await.expect(200);
    let again = json!({"username": "LI.NA", "password": "another password", "role": "viewer"});
    let again = admin.post(&in_tenant("/users"), &again).await;
    again.problem(409, "already_exists");
}

async fn an_access_token_is_good_for_fifteen_minutes(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.platform_admin().await;
    app.set_clock("2026-03-02T02:14:59Z");
    admin.get(ME).await.expect(200);
    app.set_clock("2026-03-02T02:15:00Z");
    admin.get(ME).await.problem(401, "unauthenticated");
}

async fn a_refresh_gives_a_new_pair(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let first = sign_in(&app, ADMIN, PASSWORD).await.expect(200);
    app.set_clock("2026-03-02T03:00:00Z");
    let second = refresh(&app, &first).await.expect(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    with_access(&app, &first).get(ME).await.expect(401);
    with_access(&app, &second).get(ME).await.expect(200);
    refresh(&app, &second).await.expect(200);
}

async fn a_session_ends_thirty_days_after_its_login(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut pair = sign_in(&app, ADMIN, PASSWORD).await.expect(200);
    for still_good in ["2026-03-20T00:00:00Z", "2026-04-01T01:59:59Z"] {
        app.set_clock(still_good);
        pair = refresh(&app, &pair).await.expect(200);
        with_access(&app, &pair).get(ME).await.expect(200);
    }
    app.set_clock("2026-04-01T02:00:00Z");
    refresh(&app, &pair).await.problem(401, "unauthenticated");
    with_access(&app, &pair).get(ME).await.expect(401);
}

async fn other_texts_do_not_refresh(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let pair = sign_in(&app, ADMIN, PASSWORD).await.expect(200);
    let token = pair["access_token"].as_str().unwrap();
    for text in ["", "x", "slipway_refresh_x_y", token] {
        let answer = refresh(&app, &json!({"refresh_token": text})).await;
        answer.problem(401, "unauthenticated");
    }
    let answer = app.anyone().post("/api/v1/auth/refresh", &json!({})).await;
    assert_eq!(answer.wrong_fields(), ["refresh_token"]);
}

async fn logout_ends_the_session(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let pair = sign_in(&app, ADMIN, PASSWORD).await.expect(200);
    let admin = with_access(&app, &pair);
    admin.post("/api/v1/auth/logout", &json!({})).await.expect(204);
    admin.get(ME).await.problem(401, "unauthenticated");
    refresh(&app, &pair).await.problem(401, "unauthenticated");
}

async fn an_api_token_has_no_session_and_no_password(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let pipeline = app.pipeline(&admin, "publisher").await;
    let me = pipeline.get(ME).await.expect(200);
    assert_eq!(me["kind"], "api_token");
    assert_eq!(me["tenant_id"], TENANT);
    let logout = pipeline.post("/api/v1/auth/logout", &json!({})).await;
    logout.problem(403, "permission_denied");
    let passwords = json!({"current": PASSWORD, "new": "another long password"});
    let change = pipeline.put("/api/v1/me/password", &passwords).await;
    change.problem(403, "permission_denied");
}

async fn a_new_password_needs_the_current_one_and_ends_all_sessions(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let sessions = [app.platform_admin().await, app.platform_admin().await];
    let change = async |current: &str, new: &str| {
        let passwords = json!({"current": current, "new": new});
        sessions[0].put("/api/v1/me/password", &passwords).await
    };
    let refused = change("not the password", "another long password").await;
    assert_eq!(refused.wrong_fields(), ["current"]);
    assert_eq!(change(PASSWORD, "too short").await.wrong_fields(), ["new"]);
    sessions[1].get(ME).await.expect(200);

    change(PASSWORD, "another long password").await.expect(204);
    for session in &sessions {
        session.get(ME).await.problem(401, "unauthenticated");
    }
    sign_in(&app, ADMIN, PASSWORD).await.expect(401);
    sign_in(&app, ADMIN, "another long password").await.expect(200);
}

async fn a_person_who_is_disabled_is_signed_out_and_cannot_sign_in(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let (path, pair) = person(&app, &admin).await;
    admin.patch(&path, &json!({"enabled": false})).await.expect(200);
    with_access(&app, &pair).get(ME).await.expect(401);
    refresh(&app, &pair).await.expect(401);
    let disabled = sign_in(&app, "li.na", "a password of li na").await;
    let wrong = sign_in(&app, "li.na", "not the password").await;
    assert_eq!((disabled.status, &disabled.text), (401, &wrong.text));

    admin.patch(&path, &json!({"enabled": true})).await.expect(200);
    with_access(&app, &pair).get(ME).await.expect(401);
    sign_in(&app, "li.na", "a password of li na").await.expect(200);
}

async fn a_new_role_and_a_deletion_end_a_persons_sessions(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let (path, pair) = person(&app, &admin).await;
    admin.patch(&path, &json!({"role": "viewer"})).await.expect(200);
    with_access(&app, &pair).get(ME).await.expect(200);
    admin.patch(&path, &json!({"role": "admin"})).await.expect(200);
    with_access(&app, &pair).get(ME).await.expect(401);

    let pair = sign_in(&app, "li.na", "a password of li na").await.expect(200);
    admin.delete(&path).await.expect(204);
    with_access(&app, &pair).get(ME).await.expect(401);
    refresh(&app, &pair).await.expect(401);
    sign_in(&app, "li.na", "a password of li na").await.expect(401);
}

async fn people_and_tokens_of_a_disabled_tenant_are_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let admin = app.tenant_admin(TENANT).await;
    let pipeline = app.pipeline(&admin, "publisher").await;
    let (_, pair) = person(&app, &admin).await;
    platform
        .patch(&in_tenant(""), &json!({"enabled": false}))
        .await
        .expect(200);
    for caller in [&admin, &pipeline] {
        caller.get(ME).await.problem(403, "permission_denied");
        caller
            .get(&in_tenant("/apps"))
            .await
            .problem(403, "permission_denied");
    }
    refresh(&app, &pair).await.problem(403, "permission_denied");
    let login = sign_in(&app, "li.na", "a password of li na").await;
    login.problem(403, "permission_denied");
    platform.get(&in_tenant("/apps")).await.expect(200);

    platform
        .patch(&in_tenant(""), &json!({"enabled": true}))
        .await
        .expect(200);
    pipeline.get(ME).await.expect(200);
}

/// Creates a viewer of the tenant. Returns its path and the tokens of its session.
async fn person(app: &TestApp, admin: &Caller) -> (String, Value) {
    let body = json!({"username": "li.na", "password": "a password of li na", "role": "viewer"});
    let made = admin.post(&in_tenant("/users"), &body).await.expect(201);
    let pair = sign_in(app, "li.na", "a password of li na").await.expect(200);
    (
        in_tenant(&format!("/users/{}", made["id"].as_str().unwrap())),
        pair,
    )
}

async fn sign_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    app.anyone().post("/api/v1/auth/login", &body).await
}

async fn refresh(app: &TestApp, pair: &Value) -> Answer {
    let body = json!({"refresh_token": pair["refresh_token"]});
    app.anyone().post("/api/v1/auth/refresh", &body).await
}

fn with_access(app: &TestApp, pair: &Value) -> Caller {
    app.bearer(pair["access_token"].as_str().unwrap())
}

on_both_databases!(
    a_password_opens_a_session,
    a_wrong_password_and_an_unknown_name_look_alike,
    usernames_have_no_case,
    an_access_token_is_good_for_fifteen_minutes,
    a_refresh_gives_a_new_pair,
    a_session_ends_thirty_days_after_its_login,
    other_texts_do_not_refresh,
    logout_ends_the_session,
    an_api_token_has_no_session_and_no_password,
    a_new_password_needs_the_current_one_and_ends_all_sessions,
    a_person_who_is_disabled_is_signed_out_and_cannot_sign_in,
    a_new_role_and_a_deletion_end_a_persons_sessions,
    people_and_tokens_of_a_disabled_tenant_are_refused,
);
