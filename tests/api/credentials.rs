//! Each kind of credential is valid only for its own interface.

use serde_json::{Value, json};

use super::harness::{Answer, TENANT, TestApp};
use super::operations::{Objects, sign_in};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ANOTHER_TENANT: i64 = 20_000_000;
const NO_TENANT: i64 = 30_000_000;

/// One credential of each kind, all of one tenant.
struct Credentials {
    app: TestApp,
    device_key: String,
    /// Token of a device that makes no checks here.
    device_token: String,
    api_token: String,
    access_token: String,
    refresh_token: String,
    app_key: String,
    app_secret: String,
}

impl Credentials {
    async fn make(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        app.tenant_admin(ANOTHER_TENANT).await;
        let admin = app.tenant_admin(TENANT).await;
        let of = Objects::make(&app, &admin, TENANT, 1).await;
        let signed_in = sign_in(&app, &of.username).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let enrol = json!({"device_id": "another", "project_id": "stores"});
        let enrolled = app.bearer(of.device_key["device_key"].as_str().unwrap());
        let enrolled = enrolled.post("/v1/devices", &enrol).await.expect(201);
        Self {
            device_key: text(&of.device_key["device_key"]),
            device_token: text(&enrolled["device_token"]),
            api_token: text(&of.api_token["token"]),
            access_token: text(&signed_in["access_token"]),
            refresh_token: text(&signed_in["refresh_token"]),
            app_key: text(&of.app_key["app_key"]),
            app_secret: text(&of.app_key["app_secret"]),
            app,
        }
    }

    /// Returns the credentials that are never valid as bearer tokens.
    fn good_nowhere(&self) -> Vec<String> {
        let key_of = |tenant: i64| self.device_key.replace(&TENANT.to_string(), &tenant.to_string());
        vec![
            self.app_key.clone(),
            self.app_secret.clone(),
            self.refresh_token.clone(),
            self.device_token.clone(),
            key_of(ANOTHER_TENANT),
            key_of(NO_TENANT),
            self.api_token.replace("slipway_token", "slipway_refresh"),
            "slipway_device_".to_owned(),
            "junk".to_owned(),
        ]
    }

    async fn check(&self, token: &str) -> Answer {
        let body = json!({"package_name": "com.example", "version_code": 0, "device_id": "PDA001"});
        self.app.bearer(token).post("/v1/check", &body).await
    }

    async fn me(&self, token: &str) -> Answer {
        self.app.bearer(token).get("/api/v1/me").await
    }

    async fn refresh(&self, token: &str) -> Answer {
        let body = json!({"refresh_token": token});
        self.app.anyone().post("/api/v1/auth/refresh", &body).await
    }
}

async fn a_check_takes_a_device_key_alone(database: TestDatabase) {
    let of = Credentials::make(database).await;
    of.check(&of.device_key).await.expect(200);
    let others = [of.access_token.clone(), of.api_token.clone()];
    for token in of.good_nowhere().iter().chain(&others) {
        of.check(token).await.problem(401, "unauthenticated");
    }
}

async fn the_admin_api_takes_an_access_token_or_an_api_token(database: TestDatabase) {
    let of = Credentials::make(database).await;
    of.me(&of.access_token).await.expect(200);
    of.me(&of.api_token).await.expect(200);
    for token in of.good_nowhere().iter().chain([&of.device_key]) {
        of.me(token).await.problem(401, "unauthenticated");
    }
}

async fn a_refresh_takes_a_refresh_token_alone(database: TestDatabase) {
    let of = Credentials::make(database).await;
    let mut others = of.good_nowhere();
    others.retain(|token| *token != of.refresh_token);
    others.extend([
        of.access_token.clone(),
        of.api_token.clone(),
        of.device_key.clone(),
    ]);
    for token in others {
        of.refresh(&token).await.problem(401, "unauthenticated");
    }
    of.refresh(&of.refresh_token).await.expect(200);
}

on_both_databases!(
    a_check_takes_a_device_key_alone,
    the_admin_api_takes_an_access_token_or_an_api_token,
    a_refresh_takes_a_refresh_token_alone,
);
