//! Creator, last use and expiry of API tokens, device keys and app keys.

use serde_json::{Value, json};

use super::harness::{CHECK, PASSWORD, as_texts};
use super::harness::{Caller, DEADLINE, NOW, TENANT, TestApp, TopClient, check_fields, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

const KINDS: [(&str, &str); 3] = [
    ("api-tokens", "publisher"),
    ("device-keys", ""),
    ("app-keys", "device"),
];
const TOMORROW: &str = "2026-03-03T02:00:00Z";

fn body(role: &str) -> Value {
    match role {
        "" => json!({"name": "a key"}),
        role => json!({"name": "a key", "role": role}),
    }
}

/// One key of each kind, as the API returned it at its creation.
struct Keys {
    api_token: Value,
    device_key: Value,
    app_key: Value,
}

impl Keys {
    async fn make(admin: &Caller, expires_at: Option<&str>) -> Self {
        let make = async |noun: &str, role: &str| {
            let mut body = body(role);
            if let Some(expires_at) = expires_at {
                body["expires_at"] = json!(expires_at);
            }
            admin
                .post(&in_tenant(&format!("/{noun}")), &body)
                .await
                .expect(201)
        };
        Self {
            api_token: make("api-tokens", "publisher").await,
            device_key: make("device-keys", "").await,
            app_key: make("app-keys", "device").await,
        }
    }

    fn each(&self) -> [(&str, &Value); 3] {
        [
            ("api-tokens", &self.api_token),
            ("device-keys", &self.device_key),
            ("app-keys", &self.app_key),
        ]
    }

    /// Uses every key once. Returns true for each accepted key.
    async fn use_each(&self, app: &TestApp) -> [bool; 3] {
        let pipeline = app.bearer(text(&self.api_token["token"]));
        let device = app.bearer(text(&self.device_key["device_key"]));
        let sdk = TopClient {
            url: format!("{}/router/rest", app.url),
            http: reqwest::Client::new(),
            app_key: text(&self.app_key["app_key"]).to_owned(),
            secret: text(&self.app_key["app_secret"]).to_owned(),
        };
        // The gateway expects local time in UTC+8.
        let now = slipway::clock::Clock::now(&*app.clock) + chrono::TimeDelta::hours(8);
        let timestamp = now.format("%Y-%m-%d %H:%M:%S").to_string();
        let mut call = sdk.call(CHECK, &timestamp, &[]);
        let mut fields = check_fields();
        fields["tenant_id"] = json!(TENANT);
        for (name, value) in as_texts(&fields) {
            call = call.with(&name, &value);
        }
        let answer = sdk.send(&call).await;
        [
            pipeline.get("/api/v1/me").await.status == 200,
            device.post("/v1/check", &check_fields()).await.status == 200,
            !answer.text.contains("error_response"),
        ]
    }
}

async fn a_key_names_its_maker_and_the_day_of_its_last_use(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let me = admin.get("/api/v1/me").await.expect(200);
    let keys = Keys::make(&admin, None).await;
    for (noun, key) in keys.each() {
        assert_eq!(key["created_by"], me["name"], "{noun}");
        assert_eq!(key["last_used_on"], Value::Null, "{noun}");
        assert_eq!(key["expires_at"], Value::Null, "{noun}");
    }
    for (now, day) in [(NOW, "2026-03-02"), (TOMORROW, "2026-03-03")] {
        app.set_clock(now);
        // The session's access token is valid for a quarter of an hour.
        let platform = app.platform_admin().await;
        for _ in 0..3 {
            assert_eq!(keys.use_each(&app).await, [true; 3]);
        }
        for (noun, key) in keys.each() {
            let path = in_tenant(&format!("/{noun}/{}", text(&key["id"])));
            until("the day of the last use is written", DEADLINE, async || {
                platform.get(&path).await.expect(200)["last_used_on"] == day
            })
            .await;
        }
    }
}

async fn an_expired_key_is_refused_everywhere(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let keys = Keys::make(&admin, Some(TOMORROW)).await;
    for (noun, key) in keys.each() {
        assert_eq!(key["expires_at"], TOMORROW, "{noun}");
    }
    app.set_clock("2026-03-03T01:59:59Z");
    assert_eq!(keys.use_each(&app).await, [true; 3]);
    app.set_clock(TOMORROW);
    assert_eq!(keys.use_each(&app).await, [false; 3]);

    let pipeline = app.bearer(text(&keys.api_token["token"]));
    let problem = pipeline.get("/api/v1/me").await.problem(401, "unauthenticated");
    assert!(text(&problem["detail"]).contains("expired"), "{problem}");
    let device = app.bearer(text(&keys.device_key["device_key"]));
    let enrol = json!({"device_id": "PDA001", "project_id": "stores"});
    let problem = device.post("/v1/devices", &enrol).await;
    problem.problem(401, "unauthenticated");
}

async fn an_expiry_lies_in_the_future(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for (noun, role) in KINDS {
        for wrong in [
            json!(NOW),
            json!("2020-01-01T00:00:00Z"),
            json!("tomorrow"),
            json!(7),
        ] {
            let mut body = body(role);
            body["expires_at"] = wrong;
            let answer = admin.post(&in_tenant(&format!("/{noun}")), &body).await;
            assert_eq!(answer.wrong_fields(), ["expires_at"], "{noun} {body}");
        }
        let mut body = body(role);
        body["expires_at"] = Value::Null;
        admin
            .post(&in_tenant(&format!("/{noun}")), &body)
            .await
            .expect(201);
    }
}

async fn a_platform_token_shows_and_expires_alike(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    let body = json!({"name": "terraform", "role": "platform_admin", "expires_at": TOMORROW});
    let made = platform.post("/api/v1/api-tokens", &body).await.expect(201);
    assert_eq!(made["created_by"], "admin");
    let token = app.bearer(text(&made["token"]));
    token.get("/api/v1/tenants").await.expect(200);
    let path = format!("/api/v1/api-tokens/{}", text(&made["id"]));
    until("the day of the last use is written", DEADLINE, async || {
        platform.get(&path).await.expect(200)["last_used_on"] == "2026-03-02"
    })
    .await;
    app.set_clock(TOMORROW);
    token.get("/api/v1/tenants").await.problem(401, "unauthenticated");
    let again = app.login("admin", PASSWORD).await;
    again.delete(&path).await.expect(204);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

on_both_databases! {
    a_key_names_its_maker_and_the_day_of_its_last_use,
    an_expired_key_is_refused_everywhere,
    an_expiry_lies_in_the_future,
    a_platform_token_shows_and_expires_alike,
}
