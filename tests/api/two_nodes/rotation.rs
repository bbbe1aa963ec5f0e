//! A rotation of the secret key over two nodes. At every step, credentials made under either key work on either node.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use slipway::clock::{Clock, SystemClock};
use tempfile::TempDir;

use super::node::{Node, SECRET_KEY as OLD, refusal_of_a_start};
use crate::api::harness::{ADMIN, CHECK, PASSWORD, TENANT, TopClient, app_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::program;
use slipway_test_support::wait::until;

const NEW: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);
const APP: &str = "com.hema.wms";

/// Credentials and keys that a node created at one step of the rotation.
struct Made {
    device_id: String,
    device_token: String,
    app_key: String,
    /// The current secret and the previous one.
    secrets: [String; 2],
    access_token: String,
    refresh_token: String,
    idempotency_key: String,
    created: Value,
}

struct Rotation {
    database: TestDatabase,
    http: Client,
    device_key: String,
    made: Vec<Made>,
}

fn in_tenant(rest: &str) -> String {
    format!("/api/v1/tenants/{TENANT}{rest}")
}

impl Rotation {
    async fn call(
        &self,
        node: &Node,
        (method, path): (Method, &str),
        token: &str,
        body: &Value,
    ) -> (u16, bool, Value) {
        let request = self
            .http
            .request(method, format!("{}{path}", node.url()))
            .bearer_auth(token)
            .json(body);
        let response = request.send().await.unwrap();
        let renewal = response.headers().contains_key("slipway-token-renewal");
        (
            response.status().as_u16(),
            renewal,
            response.json().await.unwrap_or_default(),
        )
    }

    async fn create_once(&self, node: &Node, token: &str, key: &str) -> Value {
        let url = format!("{}{}", node.url(), in_tenant("/apps"));
        let request = self
            .http
            .post(url)
            .bearer_auth(token)
            .header("idempotency-key", key)
            .json(&app_fields(&format!("com.example.{key}")));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    /// Creates one credential of every kind at a node.
    async fn make(&mut self, node: &mut Node) {
        let number = self.made.len();
        node.sign_in(ADMIN, PASSWORD).await;
        let token = node.token.clone().unwrap();
        let login = json!({"username": ADMIN, "password": PASSWORD});
        let signed_in = node.post("/api/v1/auth/login", &login).await.expect(200);
        let key = json!({"name": "SDK", "role": "device"});
        let made = node.post(&in_tenant("/app-keys"), &key).await.expect(201);
        let rotate = in_tenant(&format!("/app-keys/{}/rotate", text(&made["id"])));
        let rotated = node.post(&rotate, &json!({})).await.expect(200);
        let device_id = format!("PDA{number}");
        let enrol = json!({"device_id": device_id, "project_id": "stores"});
        let enrolled = node
            .post_as(&self.device_key, "/v1/devices", &enrol)
            .await
            .expect(201);
        let idempotency_key = format!("k{number}");
        self.made.push(Made {
            device_id,
            device_token: text(&enrolled["device_token"]).to_owned(),
            app_key: text(&made["app_key"]).to_owned(),
            secrets: [
                text(&rotated["app_secret"]).to_owned(),
                text(&made["app_secret"]).to_owned(),
            ],
            access_token: text(&signed_in["access_token"]).to_owned(),
            refresh_token: text(&signed_in["refresh_token"]).to_owned(),
            created: self.create_once(node, &token, &idempotency_key).await,
            idempotency_key,
        });
    }

    async fn device_checks(&self, node: &Node, made: &Made) -> (u16, bool) {
        let fields = json!({"package_name": APP, "version_code": 1, "device_id": made.device_id});
        let call = (Method::POST, "/v1/check");
        let (status, renewal, _) = self.call(node, call, &made.device_token, &fields).await;
        (status, renewal)
    }

    async fn gateway_checks(&self, node: &Node, made: &Made, secret: &str) -> bool {
        let sdk = TopClient {
            url: format!("{}/router/rest", node.url()),
            http: self.http.clone(),
            app_key: made.app_key.clone(),
            secret: secret.to_owned(),
        };
        let now = SystemClock.now() + chrono::TimeDelta::hours(8);
        let timestamp = now.format("%Y-%m-%d %H:%M:%S").to_string();
        let tenant = TENANT.to_string();
        let fields = [
            ("tenant_id", tenant.as_str()),
            ("package_name", APP),
            ("version_code", "1"),
            ("device_id", &made.device_id),
        ];
        let answer = sdk.send(&sdk.call(CHECK, &timestamp, &fields)).await;
        !answer.text.contains("error_response")
    }

    /// Verifies that everything created so far works on a node.
    async fn verify(&mut self, node: &Node, step: &str) {
        for made in &self.made {
            let what = format!("{} at {step}", made.device_id);
            assert_eq!(self.device_checks(node, made).await.0, 200, "{what}");
            let pushes = format!("/v1/devices/{}/pushes?wait_s=0", made.device_id);
            node.get_as(&made.device_token, &pushes).await.expect(200);
            for secret in &made.secrets {
                until(&what, DEADLINE, async || {
                    self.gateway_checks(node, made, secret).await
                })
                .await;
            }
            node.get_as(&made.access_token, "/api/v1/me").await.expect(200);
            let replayed = self
                .create_once(node, &made.access_token, &made.idempotency_key)
                .await;
            assert_eq!(replayed, made.created, "{what}");
        }
        for made in &mut self.made {
            let body = json!({"refresh_token": made.refresh_token});
            let pair = node.post("/api/v1/auth/refresh", &body).await.expect(200);
            text(&pair["refresh_token"]).clone_into(&mut made.refresh_token);
        }
    }

    async fn step(&mut self, nodes: &mut [Node; 2], step: &str) {
        for node in nodes.iter() {
            self.verify(node, step).await;
        }
        for node in nodes.iter_mut() {
            self.make(node).await;
        }
        for node in nodes.iter() {
            self.verify(node, step).await;
        }
    }

    async fn rekey(&self, arguments: &[&str]) -> String {
        let directory = TempDir::new().unwrap();
        let variables = [
            ("SLIPWAY_DATABASE_URL", self.database.url.as_str()),
            ("SLIPWAY_SECRET_KEY", &*format!("{NEW},{OLD}")),
        ];
        program::run(directory.path(), arguments, &variables, "")
            .await
            .expect_success()
    }
}

async fn metric(http: &Client, node: &Node, kind: &str) -> Option<String> {
    let text = http
        .get(format!("{}/metrics", node.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let name = format!("slipway_secrets_under_old_key{{kind=\"{kind}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&name).map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a rotation, step by step")]
async fn a_rotation_in_two_steps_breaks_nothing_at_any_moment() {
    let database = TestDatabase::postgres().await;
    let url = database.url.clone();
    let start = |keys: &str| Node::start_with_key(&url, keys);
    let mut nodes = [start(OLD), start(OLD)];
    nodes[0].sign_in(ADMIN, PASSWORD).await;
    let tenant = json!({"id": TENANT, "name": "A tenant"});
    nodes[0].post("/api/v1/tenants", &tenant).await.expect(201);
    nodes[0]
        .post(&in_tenant("/apps"), &app_fields(APP))
        .await
        .expect(201);
    let key = json!({"name": "handhelds"});
    let key = nodes[0].post(&in_tenant("/device-keys"), &key).await.expect(201);
    let mut rotation = Rotation {
        database,
        http: Client::new(),
        device_key: text(&key["device_key"]).to_owned(),
        made: Vec::new(),
    };
    let other = &nodes[1];
    let fields = json!({"package_name": APP, "version_code": 1, "device_id": "PDA001"});
    until("the other node knows the key", DEADLINE, async || {
        other.check(&rotation.device_key, &fields).await.status == 200
    })
    .await;

    let (verifies, signs) = (format!("{OLD},{NEW}"), format!("{NEW},{OLD}"));
    rotation.step(&mut nodes, "the old key alone").await;
    nodes[0] = start(&verifies);
    rotation.step(&mut nodes, "the new key on one node").await;
    nodes[1] = start(&verifies);
    rotation.step(&mut nodes, "the new key on both nodes").await;
    nodes[0] = start(&signs);
    rotation.step(&mut nodes, "one node signs with the new key").await;
    nodes[1] = start(&signs);
    rotation
        .step(&mut nodes, "both nodes sign with the new key")
        .await;

    // Data that needs the old key prevents dropping it.
    let refusal = refusal_of_a_start(&url, Some(NEW));
    for needed_by in ["app secrets", "device tokens"] {
        assert!(refusal.contains(needed_by), "{refusal}");
    }
    assert!(
        rotation
            .rekey(&["rekey", "--status"])
            .await
            .contains("app_secret\t")
    );
    until("the metric names app secrets", DEADLINE, async || {
        let shown = metric(&rotation.http, &nodes[1], "app_secret").await;
        shown.is_some_and(|shown| shown != "0")
    })
    .await;
    let said = rotation.rekey(&["rekey"]).await;
    assert!(
        !said.contains("app_secret\t") && said.contains("device_token\t"),
        "{said}"
    );
    assert!(
        rotation
            .rekey(&["rekey"])
            .await
            .contains("app keys sealed again: 0")
    );
    rotation.step(&mut nodes, "sealed again").await;
    let refusal = refusal_of_a_start(&url, Some(NEW));
    assert!(
        refusal.contains("device tokens") && !refusal.contains("app secrets"),
        "{refusal}"
    );

    // Every device is told to enrol again with its token. One never returns.
    let absent = rotation.made.remove(0);
    for index in 0..rotation.made.len() {
        let made = &rotation.made[index];
        if rotation.device_checks(&nodes[0], made).await.1 {
            let enrol = json!({"device_id": made.device_id, "project_id": "stores"});
            let call = (Method::POST, "/v1/devices");
            let (status, _, body) = rotation.call(&nodes[1], call, &made.device_token, &enrol).await;
            assert!(status < 300, "{body}");
            rotation.made[index].device_token = text(&body["device_token"]).to_owned();
        }
        let made = &rotation.made[index];
        assert_eq!(rotation.device_checks(&nodes[1], made).await, (200, false));
    }
    assert!(
        rotation
            .rekey(&["rekey", "--status"])
            .await
            .contains("device_token\t1\t")
    );
    let said = rotation.rekey(&["rekey", "--revoke-old-device-tokens"]).await;
    assert!(
        said.contains("device tokens revoked: 1") && said.contains("nothing needs it"),
        "{said}"
    );
    until("both nodes refuse the device", DEADLINE, async || {
        rotation.device_checks(&nodes[0], &absent).await.0 == 401
            && rotation.device_checks(&nodes[1], &absent).await.0 == 401
    })
    .await;

    // Access tokens and idempotency keys under the old key expire by themselves.
    nodes[0] = start(NEW);
    nodes[1] = start(NEW);
    for node in &nodes {
        for made in &rotation.made {
            assert_eq!(rotation.device_checks(node, made).await, (200, false));
            for secret in &made.secrets {
                assert!(
                    rotation.gateway_checks(node, made, secret).await,
                    "{}",
                    made.device_id
                );
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
