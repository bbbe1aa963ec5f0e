//! Two nodes as separate processes on one PostgreSQL database.

pub(super) mod node;
mod rotation;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::node::{Node, SECRET_KEY, refusal_of_a_start};
use super::harness::{ADMIN, PASSWORD, TENANT, app_fields, release_fields};
use slipway_test_support::database::TestDatabase;

const APP: &str = "com.hema.wms";
const PART: &str = "com.hema.wms.chuku";
/// Time limit for a change to reach the other node.
const DEADLINE: Duration = Duration::from_secs(10);

/// Two nodes, and a tenant with an app and its device key. They were created at the first node, and both nodes know
/// them.
struct TwoNodes {
    first: Node,
    second: Node,
    device_key: String,
    /// Keeps the database alive.
    _database: TestDatabase,
}

impl TwoNodes {
    async fn start() -> Self {
        let database = TestDatabase::postgres().await;
        let mut first = Node::start(&database.url);
        let mut second = Node::start(&database.url);
        first.sign_in(ADMIN, PASSWORD).await;
        second.sign_in(ADMIN, PASSWORD).await;
        let device_key = make_tenant(&first, TENANT).await;
        first.post(&apps(TENANT), &app_fields(APP)).await.expect(201);
        let nodes = Self {
            first,
            second,
            device_key,
            _database: database,
        };
        until(async || nodes.second.check(&nodes.device_key, &check()).await.status == 200).await;
        nodes
    }

    fn release_path(release: &Value, verb: &str) -> String {
        format!(
            "{}/{APP}/releases/{}/{verb}",
            apps(TENANT),
            release["id"].as_str().unwrap()
        )
    }

    async fn publish(&self, node: &Node, version_code: i64, targeting: Value) -> Value {
        let mut fields = release_fields(PART, version_code);
        fields["publish"] = json!(true);
        for (field, value) in targeting.as_object().unwrap() {
            fields[field] = value.clone();
        }
        node.post(&format!("{}/{APP}/releases", apps(TENANT)), &fields)
            .await
            .expect(201)
    }

    /// Returns the versions offered to a device of store 8007.
    async fn offered(&self, node: &Node) -> Vec<i64> {
        let answer = node.check(&self.device_key, &check()).await.expect(200);
        let offers = answer["data"].as_array().unwrap();
        offers
            .iter()
            .map(|offer| offer["version_code"].as_i64().unwrap())
            .collect()
    }

    async fn comes_to_offer(&self, node: &Node, versions: &[i64]) {
        until(async || self.offered(node).await == versions).await;
    }
}

fn check() -> Value {
    json!({"package_name": APP, "version_code": 1, "device_id": "PDA001", "org_info": {"l3Code": "8007"}})
}

fn apps(tenant: i64) -> String {
    format!("/api/v1/tenants/{tenant}/apps")
}

/// Creates a tenant and returns one of its device keys.
async fn make_tenant(node: &Node, tenant: i64) -> String {
    node.post("/api/v1/tenants", &json!({"id": tenant, "name": "A tenant"}))
        .await
        .expect(201);
    let keys = format!("/api/v1/tenants/{tenant}/device-keys");
    let made = node.post(&keys, &json!({"name": "devices"})).await.expect(201);
    made["device_key"].as_str().unwrap().to_owned()
}

/// Waits until another node has followed a change.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(
            Instant::now() < deadline,
            "the other node does not see the change"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_and_a_pause_on_one_node_reach_the_other() {
    let nodes = TwoNodes::start().await;
    let release = nodes.publish(&nodes.first, 240, json!({})).await;
    assert_eq!(
        nodes.offered(&nodes.first).await,
        [240],
        "one's own write is there at once"
    );
    nodes.comes_to_offer(&nodes.second, &[240]).await;

    nodes
        .second
        .post(&TwoNodes::release_path(&release, "pause"), &json!({}))
        .await
        .expect(200);
    assert!(
        nodes.offered(&nodes.second).await.is_empty(),
        "one's own write is there at once"
    );
    nodes.comes_to_offer(&nodes.first, &[]).await;

    let (first, second) = (
        nodes.revision(&nodes.first).await,
        nodes.revision(&nodes.second).await,
    );
    assert_eq!(
        first, second,
        "nodes that have seen the same name the same revision"
    );
}

impl TwoNodes {
    async fn revision(&self, node: &Node) -> String {
        let answer = node.check(&self.device_key, &check()).await;
        assert!(!answer.revision.is_empty());
        answer.revision
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_org_directory_on_one_node_reaches_the_other() {
    let nodes = TwoNodes::start().await;
    let targeting = json!({"org_scopes": [{"l1Code": "HM"}]});
    nodes.publish(&nodes.first, 240, targeting).await;
    nodes.comes_to_offer(&nodes.second, &[]).await;

    let directory = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    let path = format!("/api/v1/tenants/{TENANT}/org-directory");
    nodes.first.put(&path, &directory).await.expect(200);
    assert_eq!(
        nodes.offered(&nodes.first).await,
        [240],
        "one's own write is there at once"
    );
    nodes.comes_to_offer(&nodes.second, &[240]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tenant_and_the_end_of_its_key_on_one_node_reach_the_other() {
    let nodes = TwoNodes::start().await;
    let tenant = TENANT + 1;
    let key = make_tenant(&nodes.first, tenant).await;
    let status = async |node: &Node| node.check(&key, &check()).await.status;
    assert_eq!(
        status(&nodes.first).await,
        200,
        "one's own write is there at once"
    );
    until(async || status(&nodes.second).await == 200).await;

    let keys = format!("/api/v1/tenants/{tenant}/device-keys");
    let listed = nodes.second.get(&keys).await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    nodes.second.delete(&format!("{keys}/{id}")).await.expect(204);
    assert_eq!(
        status(&nodes.second).await,
        401,
        "one's own write is there at once"
    );
    until(async || status(&nodes.first).await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_on_every_node() {
    let mut nodes = TwoNodes::start().await;
    let login = json!({"username": ADMIN, "password": PASSWORD});
    let signed_in = nodes.first.post("/api/v1/auth/login", &login).await.expect(200);
    nodes.second.token = signed_in["access_token"].as_str().map(str::to_owned);
    nodes.second.get("/api/v1/me").await.expect(200);

    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    let renewed = nodes
        .second
        .post("/api/v1/auth/refresh", &refresh)
        .await
        .expect(200);
    nodes.first.token = renewed["access_token"].as_str().map(str::to_owned);
    nodes.first.get("/api/v1/me").await.expect(200);

    // For a moment, the other node gives the same client the same tokens, because it may be another tab.
    let again = nodes
        .first
        .post("/api/v1/auth/refresh", &refresh)
        .await
        .expect(200);
    assert_eq!(again["refresh_token"], renewed["refresh_token"]);
    nodes
        .first
        .post("/api/v1/auth/logout", &json!({}))
        .await
        .expect(204);
    nodes.first.get("/api/v1/me").await.expect(401);
    nodes.second.get("/api/v1/me").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_made_on_one_node_is_good_on_the_other_at_once() {
    let mut nodes = TwoNodes::start().await;
    let tokens = format!("/api/v1/tenants/{TENANT}/api-tokens");
    let made = nodes
        .first
        .post(&tokens, &json!({"name": "ci", "role": "viewer"}))
        .await
        .expect(201);
    nodes.second.token = made["token"].as_str().map(str::to_owned);
    nodes.second.get(&apps(TENANT)).await.expect(200);
    let item = format!("{tokens}/{}", made["id"].as_str().unwrap());
    nodes.first.delete(&item).await.expect(204);
    nodes.second.get(&apps(TENANT)).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_secret_key_refuses_to_start() {
    let database = TestDatabase::postgres().await;
    let node = Node::start(&database.url);
    let another = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let refusal = refusal_of_a_start(&database.url, Some(another));
    assert!(refusal.contains("SLIPWAY_SECRET_KEY"), "{refusal}");
    assert!(
        !refusal.contains(another) && !refusal.contains(SECRET_KEY),
        "{refusal}"
    );

    // The same node restarts with both keys, which are valid together.
    let mut both = Node::start_with_key(&database.url, &format!("{another},{SECRET_KEY}"));
    both.sign_in(ADMIN, PASSWORD).await;
    both.get("/api/v1/me").await.expect(200);
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_postgresql_without_a_secret_key_refuses_to_start() {
    let database = TestDatabase::postgres().await;
    let refusal = refusal_of_a_start(&database.url, None);
    assert!(refusal.contains("SLIPWAY_SECRET_KEY"), "{refusal}");
}
