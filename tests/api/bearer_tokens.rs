//! Valid and invalid credentials of the admin API.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use slipway::secrets::{AccessClaims, AccessTokens, Keyring};
use slipway_domain::catalog::ids::{SessionId, UserId};

use super::harness::{ADMIN, NOW, PASSWORD, TENANT, TestApp, in_tenant, test_config};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ME: &str = "/api/v1/me";

async fn a_forged_access_token_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let good = access_token(&app).await;
    app.bearer(&good).get(ME).await.expect(200);
    let [header, claims, signature] = pieces(&good);
    let mut other_claims = decoded(claims);
    other_claims["exp"] = json!(4_000_000_000_i64);
    let no_algorithm = encoded(&json!({"alg": "none", "kid": decoded(header)["kid"]}));
    let other_algorithm = encoded(&json!({"alg": "HS512", "kid": decoded(header)["kid"]}));
    let foreign = foreign_token(&decoded(claims));
    for forged in [
        format!("{header}.{}.{signature}", encoded(&other_claims)),
        format!("{no_algorithm}.{claims}."),
        format!("{no_algorithm}.{claims}.{signature}"),
        format!("{other_algorithm}.{claims}.{signature}"),
        format!("{header}.{claims}.{}", pieces(&foreign)[2]),
        foreign.clone(),
        format!("{header}.{claims}"),
        format!("{good}x"),
        "x".to_owned(),
    ] {
        let answer = app.bearer(&forged).get(ME).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.problem(401, "unauthenticated");
    }
}

async fn a_signed_token_of_no_session_or_of_another_person_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let good = access_token(&app).await;
    let claims = decoded(pieces(&good)[1]);
    let (user, session) = (id(&claims["sub"]), id(&claims["sid"]));
    let sign = |user, session| {
        let claims = AccessClaims { user, session };
        app.running
            .context
            .authentication()
            .access_tokens
            .issue(claims, NOW.parse().unwrap())
            .unwrap()
    };
    let (user, session) = (UserId::from_uuid(user), SessionId::from_uuid(session));
    app.bearer(&sign(user, session)).get(ME).await.expect(200);
    for token in [
        sign(user, slipway::random::id::<SessionId>()),
        sign(slipway::random::id::<UserId>(), session),
    ] {
        app.bearer(&token).get(ME).await.problem(401, "unauthenticated");
    }
}

async fn a_deleted_api_token_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let body = json!({"name": "ci", "role": "publisher"});
    let made = admin.post(&in_tenant("/api-tokens"), &body).await.expect(201);
    let pipeline = app.bearer(made["token"].as_str().unwrap());
    pipeline.get(ME).await.expect(200);
    let path = in_tenant(&format!("/api-tokens/{}", made["id"].as_str().unwrap()));
    admin.delete(&path).await.expect(204);
    pipeline.get(ME).await.problem(401, "unauthenticated");
}

async fn an_api_token_with_another_secret_or_id_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let make = async || {
        let body = json!({"name": "ci", "role": "publisher"});
        let made = admin.post(&in_tenant("/api-tokens"), &body).await.expect(201);
        made["token"].as_str().unwrap().to_owned()
    };
    let (one, other) = (make().await, make().await);
    let (one_id, one_secret) = one.rsplit_once('_').unwrap();
    let (_, other_secret) = other.rsplit_once('_').unwrap();
    app.bearer(&format!("{one_id}_{one_secret}"))
        .get(ME)
        .await
        .expect(200);
    for wrong in [
        format!("{one_id}_{other_secret}"),
        format!("{one_id}_"),
        one_id.to_owned(),
    ] {
        app.bearer(&wrong).get(ME).await.problem(401, "unauthenticated");
    }
}

async fn keys_for_something_else_are_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let device = app.device(&admin, TENANT).await;
    device.get(ME).await.problem(401, "unauthenticated");
    let login = json!({"username": ADMIN, "password": PASSWORD});
    let pair = app.anyone().post("/api/v1/auth/login", &login).await.expect(200);
    let refresh = app.bearer(pair["refresh_token"].as_str().unwrap());
    refresh.get(ME).await.problem(401, "unauthenticated");
    app.anyone().get(ME).await.problem(401, "unauthenticated");
}

async fn only_the_bearer_scheme_is_understood(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let good = access_token(&app).await;
    let present = async |authorization: &str| {
        let header = ("Authorization", authorization);
        app.anyone()
            .call_with(header, Method::GET, ME, &Value::Null)
            .await
    };
    present(&format!("bearer {good}")).await.expect(200);
    for other in [&format!("Basic {good}"), &good, "Bearer", "Bearer "] {
        present(other).await.problem(401, "unauthenticated");
    }
}

async fn a_caller_without_a_credential_learns_nothing_of_paths(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.tenant_admin(TENANT).await;
    let texts = [
        in_tenant("/apps"),
        "/api/v1/tenants/77/apps".to_owned(),
        in_tenant("/apps/x"),
    ];
    let first = app.anyone().get(&texts[0]).await;
    for path in &texts {
        assert_eq!(app.anyone().get(path).await.text, first.text);
    }
    first.problem(401, "unauthenticated");
}

async fn access_token(app: &TestApp) -> String {
    let login = json!({"username": ADMIN, "password": PASSWORD});
    let pair = app.anyone().post("/api/v1/auth/login", &login).await;
    pair.expect(200)["access_token"].as_str().unwrap().to_owned()
}

/// Returns a token for the same session, signed by an installation with another key.
fn foreign_token(claims: &Value) -> String {
    let key = test_config("").secret_key.unwrap().replacen("AQ", "Ag", 1);
    let keyring = Keyring::parse(&key).unwrap();
    let claims = AccessClaims {
        user: UserId::from_uuid(id(&claims["sub"])),
        session: SessionId::from_uuid(id(&claims["sid"])),
    };
    let tokens = AccessTokens::new(&keyring, TimeDelta::minutes(15));
    tokens.issue(claims, NOW.parse().unwrap()).unwrap()
}

fn pieces(token: &str) -> [&str; 3] {
    let pieces: Vec<_> = token.split('.').collect();
    pieces.try_into().unwrap()
}

fn decoded(piece: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(piece).unwrap()).unwrap()
}

fn encoded(piece: &Value) -> String {
    URL_SAFE_NO_PAD.encode(piece.to_string())
}

fn id(text: &Value) -> uuid::Uuid {
    text.as_str().unwrap().parse().unwrap()
}

on_both_databases!(
    a_forged_access_token_is_refused,
    a_signed_token_of_no_session_or_of_another_person_is_refused,
    a_deleted_api_token_is_refused,
    an_api_token_with_another_secret_or_id_is_refused,
    keys_for_something_else_are_refused,
    only_the_bearer_scheme_is_understood,
    a_caller_without_a_credential_learns_nothing_of_paths,
);
