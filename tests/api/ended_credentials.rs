//! Credentials that end during a request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::TenantId;

use super::harness::raw::head;
use super::harness::{Answer, Caller, TENANT, TestApp, app_fields, in_tenant, push_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ME: &str = "/api/v1/me";
const TENANT_PATH: &str = "/api/v1/tenants/10000000";

/// A request whose head and half of whose body have been sent.
struct HalfSent {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl HalfSent {
    async fn begin(caller: &Caller, path: &str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let (first, rest) = body.split_at(body.len() / 2);
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut stream = TcpStream::connect(caller.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
            .write_all(&head("POST", path, caller.token(), &length))
            .unwrap();
        stream.write_all(first).unwrap();
        // The only worker answers this after it has read the head.
        caller.get("/healthz").await.expect(200);
        caller.get(ME).await;
        Self {
            stream,
            rest: rest.to_vec(),
        }
    }

    /// Sends the rest, and returns the status.
    fn finish(mut self) -> u16 {
        self.stream.write_all(&self.rest).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("{answer}"))
    }
}

struct Fixture {
    app: TestApp,
    platform: Caller,
    admin: Caller,
    admins: AtomicU32,
}

impl Fixture {
    async fn new(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let admin = app.tenant_admin(TENANT).await;
        let platform = app.platform_admin().await;
        Self {
            app,
            platform,
            admin,
            admins: AtomicU32::new(0),
        }
    }

    /// Returns the path of the calling user.
    async fn user_path(&self, caller: &Caller) -> String {
        let me = caller.get(ME).await.expect(200);
        in_tenant(&format!("/users/{}", me["id"].as_str().unwrap()))
    }

    /// Returns another administrator of the tenant, signed in.
    async fn second_admin(&self) -> Caller {
        let username = format!("admin-{}", self.admins.fetch_add(1, Ordering::Relaxed));
        let person = json!({"username": username, "password": "a long password", "role": "admin"});
        self.admin.post(&in_tenant("/users"), &person).await.expect(201);
        self.app.login(&username, "a long password").await
    }

    /// Returns the names of the tenant's API tokens.
    async fn tokens(&self) -> Vec<String> {
        let listed = self.platform.get(&in_tenant("/api-tokens")).await.expect(200);
        let items = listed["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn new_token() -> Value {
    json!({"name": "stolen", "role": "admin"})
}

async fn a_credential_that_ends_while_the_body_arrives_writes_nothing(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    let path = in_tenant("/api-tokens");

    let deleted = fixture.second_admin().await;
    let request = HalfSent::begin(&deleted, &path, &new_token()).await;
    let user = fixture.user_path(&deleted).await;
    fixture.admin.delete(&user).await.expect(204);
    assert_eq!(request.finish(), 401, "a deleted user");

    let demoted = fixture.second_admin().await;
    let request = HalfSent::begin(&demoted, &path, &new_token()).await;
    let user = fixture.user_path(&demoted).await;
    fixture
        .admin
        .patch(&user, &json!({"role": "viewer"}))
        .await
        .expect(200);
    assert_eq!(request.finish(), 401, "a demoted user");

    let signed_out = fixture.second_admin().await;
    let request = HalfSent::begin(&signed_out, &path, &new_token()).await;
    signed_out
        .post("/api/v1/auth/logout", &json!({}))
        .await
        .expect(204);
    assert_eq!(request.finish(), 401, "an ended session");

    let body = json!({"name": "ci", "role": "admin"});
    let made = fixture.admin.post(&path, &body).await.expect(201);
    let pipeline = fixture.app.bearer(made["token"].as_str().unwrap());
    let request = HalfSent::begin(&pipeline, &path, &new_token()).await;
    let token = in_tenant(&format!("/api-tokens/{}", made["id"].as_str().unwrap()));
    fixture.admin.delete(&token).await.expect(204);
    assert_eq!(request.finish(), 401, "a revoked API token");

    let disabled = fixture.second_admin().await;
    let request = HalfSent::begin(&disabled, &path, &new_token()).await;
    let change = json!({"enabled": false});
    fixture.platform.patch(TENANT_PATH, &change).await.expect(200);
    assert_eq!(request.finish(), 403, "a disabled tenant");

    assert_eq!(fixture.tokens().await, Vec::<String>::new());
}

async fn a_device_whose_credential_ends_while_the_body_arrives_writes_nothing(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    let made = fixture
        .admin
        .post(&in_tenant("/device-keys"), &json!({"name": "fleet"}))
        .await
        .expect(201);
    let fleet = fixture.app.bearer(made["device_key"].as_str().unwrap());
    let enrolment = |id: &str| json!({"device_id": id, "project_id": "stores"});
    let enrolled = fleet.post("/v1/devices", &enrolment("A")).await.expect(201);
    let device = fixture.app.bearer(enrolled["device_token"].as_str().unwrap());
    let pushed = fixture
        .admin
        .post(&in_tenant("/pushes"), &push_fields(&["A"]))
        .await
        .expect(201);
    let push = pushed["id"].as_str().unwrap();

    let path = format!("/v1/devices/A/pushes/{push}/ack");
    let acknowledgement = HalfSent::begin(&device, &path, &json!({"state": "received"})).await;
    let renewal = HalfSent::begin(&device, "/v1/devices", &enrolment("A")).await;
    let token = in_tenant("/devices/A/token");
    fixture.admin.delete(&token).await.expect(204);
    assert_eq!(acknowledgement.finish(), 401, "a revoked token acknowledges");
    assert_eq!(renewal.finish(), 401, "a revoked token enrols");
    let push = fixture
        .admin
        .get(&in_tenant(&format!("/pushes/{push}")))
        .await
        .expect(200);
    assert_ne!(push["targets"][0]["state"], "received");

    let enrolment = HalfSent::begin(&fleet, "/v1/devices", &enrolment("B")).await;
    let key = in_tenant(&format!("/device-keys/{}", made["id"].as_str().unwrap()));
    fixture.admin.delete(&key).await.expect(204);
    assert_eq!(enrolment.finish(), 401, "a deleted device key enrols");
    fixture
        .admin
        .get(&in_tenant("/devices/B"))
        .await
        .problem(404, "not_found");
}

/// Sends a write that waits for a lock. Ends its credential in the transaction that holds the lock, and then releases
/// the lock.
async fn write_behind_a_lock(
    fixture: &Fixture,
    caller: &Caller,
    (path, body): (&str, Value),
    user: &str,
) -> Answer {
    let scope = TenantScope::internal(TenantId::parse(TENANT).unwrap());
    let id = user.rsplit('/').next().unwrap().parse().unwrap();
    let lock = fixture.app.database.db.begin_catalog(scope).await.unwrap();
    slipway::storage::users::delete(&lock, scope, id).await.unwrap();
    let caller = fixture.app.bearer(caller.token());
    let request = caller.request(Method::POST, path).json(&body);
    let sent = tokio::spawn(async move { caller.send(request).await });
    for _ in 0..20 {
        // This request is answered after the write was authenticated.
        fixture.platform.get(ME).await.expect(200);
    }
    lock.commit().await.unwrap();
    sent.await.unwrap()
}

async fn a_write_that_waits_for_its_turn_is_authorized_when_it_has_it(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    let writes = [
        (in_tenant("/apps"), app_fields("com.b")),
        (in_tenant("/api-tokens"), new_token()),
        (
            in_tenant("/users"),
            json!({"username": "successor", "password": "a long password", "role": "admin"}),
        ),
    ];
    for (path, body) in writes {
        let caller = fixture.second_admin().await;
        let user = fixture.user_path(&caller).await;
        let answer = write_behind_a_lock(&fixture, &caller, (&path, body), &user).await;
        answer.problem(401, "unauthenticated");
    }
    assert_eq!(fixture.tokens().await, Vec::<String>::new());
    let apps = fixture.admin.get(&in_tenant("/apps")).await.expect(200);
    assert_eq!(apps["items"], json!([]));
}

async fn a_replay_is_authorized_like_any_call(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    let person = json!({"username": "li.na", "password": "a password of li na", "role": "admin"});
    let made = fixture
        .admin
        .post(&in_tenant("/users"), &person)
        .await
        .expect(201);
    let user = in_tenant(&format!("/users/{}", made["id"].as_str().unwrap()));
    let person = fixture.app.login("li.na", "a password of li na").await;
    let creates = [
        (in_tenant("/apps"), app_fields("com.b"), 201),
        (
            in_tenant("/api-tokens"),
            json!({"name": "ci", "role": "viewer"}),
            201,
        ),
        (in_tenant("/device-keys"), json!({"name": "fleet"}), 201),
        (
            in_tenant("/app-keys"),
            json!({"name": "till", "role": "device"}),
            201,
        ),
        (
            in_tenant("/devices"),
            json!({"devices": [{"device_id": "A", "project_id": "stores"}]}),
            200,
        ),
        (in_tenant("/pushes"), push_fields(&["A"]), 201),
        (
            in_tenant("/users"),
            json!({"username": "another", "password": "a long password", "role": "viewer"}),
            201,
        ),
    ];
    let create = async |caller: &Caller, path: &str, body: &Value| {
        let request = caller.request(Method::POST, path).header("Idempotency-Key", "1");
        caller.send(request.json(body)).await
    };
    for (path, body, status) in &creates {
        assert_eq!(create(&person, path, body).await.status, *status, "{path}");
    }
    let change = json!({"role": "viewer"});
    fixture.admin.patch(&user, &change).await.expect(200);
    let person = fixture.app.login("li.na", "a password of li na").await;
    for (path, body, _) in &creates {
        let answer = create(&person, path, body).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
}

/// A request that ends its own credential is not refused.
async fn people_end_their_own_credentials(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    let pipeline = fixture.app.pipeline(&fixture.admin, "admin").await;
    let listed = pipeline.get(&in_tenant("/api-tokens")).await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    let own = in_tenant(&format!("/api-tokens/{id}"));
    pipeline.delete(&own).await.expect(204);
    let user = fixture.user_path(&fixture.admin).await;
    fixture
        .admin
        .patch(&user, &json!({"role": "viewer"}))
        .await
        .expect(200);
    fixture.admin.get(ME).await.problem(401, "unauthenticated");
}

/// Two administrators who disable each other at the same time: one request wins, and there is no deadlock.
async fn administrators_may_disable_each_other_at_once(database: TestDatabase) {
    let fixture = Fixture::new(database).await;
    for _ in 0..5 {
        let (a, b) = (fixture.second_admin().await, fixture.second_admin().await);
        let (path_a, path_b) = (fixture.user_path(&a).await, fixture.user_path(&b).await);
        let off = json!({"enabled": false});
        let (by_a, by_b) = tokio::join!(a.patch(&path_b, &off), b.patch(&path_a, &off));
        let mut statuses = [by_a.status, by_b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

on_both_databases!(
    a_credential_that_ends_while_the_body_arrives_writes_nothing,
    a_device_whose_credential_ends_while_the_body_arrives_writes_nothing,
    a_write_that_waits_for_its_turn_is_authorized_when_it_has_it,
    a_replay_is_authorized_like_any_call,
    people_end_their_own_credentials,
    administrators_may_disable_each_other_at_once,
);
