//! Every call with its largest input: answers and memory stay small. The server is a separate process, so that its
//! memory can be read. `--nocapture` prints the cost of each call.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use slipway::clock::{Clock as _, SystemClock};

use super::harness::{
    ADMIN, CHECK, CHUKU, PACKAGE, PASSWORD, TENANT, TopClient, app_fields, in_app, in_tenant, push_fields,
    release_fields, with,
};
use super::two_nodes::node::Node;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Maximum size of a page: 4 MiB of rows plus its first row.
const MAX_PAGE: usize = 6 * 1024 * 1024;
/// Maximum size of problem documents and gateway errors.
const MAX_REFUSAL: usize = 16 * 1024;
/// Size of the largest directory that fits in a body.
const MAX_DIRECTORY: usize = 16 * 1024 * 1024;
/// Maximum memory of the process in KiB. The inputs of these tests are below 10 MiB each.
const MAX_MEMORY_KIB: u64 = 400 * 1024;
const LONG: usize = 500_000;
/// Number of nodes, fewer than the permitted 100,000 because of unoptimised builds.
const DIRECTORY_NODES: usize = 40_000;

struct Fixture {
    node: Node,
    http: Client,
    admin: String,
    platform: String,
    device: String,
    _database: TestDatabase,
}

struct SizedAnswer {
    status: u16,
    text: String,
}

impl SizedAnswer {
    #[track_caller]
    fn expect(self, status: u16, max_bytes: usize) -> Value {
        let shown: String = self.text.chars().take(500).collect();
        assert_eq!(self.status, status, "{shown}");
        assert!(self.text.len() <= max_bytes, "{} bytes: {shown}", self.text.len());
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Fixture {
    async fn set(database: TestDatabase) -> Self {
        let node = Node::start(&database.url);
        let mut fixture = Self {
            node,
            http: Client::new(),
            admin: String::new(),
            platform: String::new(),
            device: String::new(),
            _database: database,
        };
        fixture.platform = fixture.login(ADMIN).await;
        let tenant = json!({"id": TENANT, "name": "a merchant"});
        fixture
            .own(Method::POST, "/api/v1/tenants", &tenant, true)
            .await
            .expect(201, MAX_REFUSAL);
        let user = json!({"username": "boss", "password": PASSWORD, "role": "admin"});
        fixture
            .own(Method::POST, &in_tenant("/users"), &user, true)
            .await
            .expect(201, MAX_REFUSAL);
        fixture.admin = fixture.login("boss").await;
        let key = fixture
            .post(&in_tenant("/device-keys"), &json!({"name": "a key"}))
            .await;
        fixture.device = text(&key.expect(201, MAX_REFUSAL)["device_key"]);
        let app = app_fields(PACKAGE);
        fixture
            .post(&in_tenant("/apps"), &app)
            .await
            .expect(201, MAX_REFUSAL);
        fixture
    }

    async fn login(&self, username: &str) -> String {
        let login = json!({"username": username, "password": PASSWORD});
        let url = format!("{}/api/v1/auth/login", self.node.url());
        let answer = self.http.post(url).json(&login).send().await.unwrap();
        text(&answer.json::<Value>().await.unwrap()["access_token"])
    }

    async fn own(&self, method: Method, path: &str, body: &Value, is_platform: bool) -> SizedAnswer {
        let token = if is_platform { &self.platform } else { &self.admin };
        self.send(method, path, token, body.to_string()).await
    }

    async fn post(&self, path: &str, body: &Value) -> SizedAnswer {
        self.own(Method::POST, path, body, false).await
    }

    async fn get(&self, path: &str) -> SizedAnswer {
        self.send(Method::GET, path, &self.admin, String::new()).await
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: String) -> SizedAnswer {
        let sent = body.len();
        let began = Instant::now();
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.node.url()));
        let request = request
            .bearer_auth(token)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        report(&format!("{method} {path}"), sent, text.len(), began.elapsed());
        SizedAnswer { status, text }
    }

    /// Reads a list of the tenant page by page. Each page is bounded.
    async fn count_items(&self, path: &str) -> (usize, usize) {
        let (mut items, mut pages, mut cursor) = (0, 0, String::new());
        loop {
            let page = self
                .get(&format!("{path}?limit=200{cursor}"))
                .await
                .expect(200, MAX_PAGE);
            items += page["items"].as_array().unwrap().len();
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (items, pages),
            }
        }
    }

    /// Returns the peak memory of the process.
    fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.node.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[track_caller]
    fn assert_memory_is_bounded(&self) {
        let peak = self.peak_memory_kib();
        eprintln!("at most {} MiB of memory", peak / 1024);
        assert!(peak < MAX_MEMORY_KIB, "{peak} KiB");
    }
}

fn report(call: &str, sent: usize, answered: usize, took: Duration) {
    let call: String = call.chars().take(100).collect();
    eprintln!(
        "{call:100} {sent:>9} B in {answered:>9} B out {:>6} ms",
        took.as_millis()
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Returns a release with 10,000 devices, as many as fit in a body of 1 MiB.
fn long_allow_list(version_code: i64) -> Value {
    let ids: Vec<_> = (0..10_000).map(|n| format!("{n:05}{}", "d".repeat(90))).collect();
    with(release_fields(CHUKU, version_code), json!({"device_ids": ids}))
}

async fn pages_end_where_their_bytes_do(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    for version_code in 1..=7 {
        let made = fixture
            .post(&in_app("/releases"), &long_allow_list(version_code))
            .await;
        made.expect(201, 2 * 1024 * 1024);
    }
    let (releases, pages) = fixture.count_items(&in_app("/releases")).await;
    assert_eq!((releases, pages), (7, 2));
    let (_, pages) = fixture.count_items(&in_tenant("/audit")).await;
    assert_eq!(pages, 2);
    let first = fixture
        .get(&in_app("/releases?limit=1"))
        .await
        .expect(200, 2 * 1024 * 1024);
    let newest = text(&first["items"][0]["id"]);
    let change = json!({"device_ids": []});
    let path = in_app(&format!("/releases/{newest}"));
    fixture
        .own(Method::PATCH, &path, &change, false)
        .await
        .expect(200, MAX_REFUSAL);
    fixture
        .get(&in_tenant("/audit?limit=1"))
        .await
        .expect(200, 2 * 1024 * 1024);
    fixture.assert_memory_is_bounded();
}

async fn a_largest_directory_and_a_large_fleet_are_answered(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let mut nodes = String::from(r#"{"nodes":["#);
    for n in 0..DIRECTORY_NODES {
        let comma = if n == 0 { "" } else { "," };
        write!(nodes, r#"{comma}{{"path":["HM","R{}","S{n}"]}}"#, n % 100).unwrap();
    }
    nodes.push_str("]}");
    let path = in_tenant("/org-directory");
    let put = fixture.send(Method::PUT, &path, &fixture.admin, nodes).await;
    put.expect(200, MAX_DIRECTORY);
    let read = fixture.get(&path).await.expect(200, MAX_DIRECTORY);
    assert_eq!(read["nodes"].as_array().unwrap().len(), DIRECTORY_NODES);
    fixture.get(&in_tenant("/audit")).await.expect(200, MAX_PAGE);
    fixture
        .post(
            &in_app("/releases"),
            &with(release_fields(CHUKU, 1), json!({"publish": true})),
        )
        .await
        .expect(201, MAX_REFUSAL);
    let asked = json!({"version_code": 1, "device_id": "A", "org_info": {"l3Code": "S4711"}});
    let explained = fixture
        .post(&in_app("/explain"), &asked)
        .await
        .expect(200, MAX_REFUSAL);
    assert_eq!(explained["resources"][0]["offer"], 1);

    let devices: Vec<_> = (0..5_000)
        .map(|n| json!({"device_id": format!("D{n}"), "project_id": "stores"}))
        .collect();
    let import = json!({"devices": devices});
    fixture
        .post(&in_tenant("/devices"), &import)
        .await
        .expect(200, MAX_REFUSAL);
    let (found, pages) = fixture.count_items(&in_tenant("/devices")).await;
    assert_eq!((found, pages), (5_000, 25));
    let ids: Vec<_> = (0..1_000).map(|n| format!("D{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let pushed = fixture
        .post(&in_tenant("/pushes"), &push_fields(&ids))
        .await
        .expect(201, MAX_PAGE);
    let push = in_tenant(&format!("/pushes/{}", pushed["id"].as_str().unwrap()));
    fixture.get(&push).await.expect(200, MAX_PAGE);
    for list in [
        "/pushes",
        "/apps",
        "/users",
        "/pins",
        "/device-keys",
        "/app-keys",
        "/api-tokens",
    ] {
        fixture.count_items(&in_tenant(list)).await;
    }
    fixture.get(&in_app("/adoption")).await.expect(200, MAX_PAGE);
    fixture.assert_memory_is_bounded();
}

async fn attributes_do_not_grow_when_they_are_flattened(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let inner = |count: usize| -> Value { (0..count).map(|n| (format!("{n:03}"), json!(1))).collect() };
    let long_key = "k".repeat(30_000);
    for (attributes, is_accepted) in [
        (json!({&long_key: inner(4_000)}), false),
        (json!({"k".repeat(257): 1}), false),
        (json!({"k".repeat(256): 1}), true),
        (json!({"k".repeat(252): inner(256)}), true),
        (json!({"k".repeat(253): inner(1)}), false),
        (json!({"\u{1f600}".repeat(252): inner(256)}), true),
        (inner(256), true),
        (inner(257), false),
        (json!({"a": inner(200), "b": inner(100)}), false),
    ] {
        let status = if is_accepted { 200 } else { 400 };
        let check =
            json!({"package_name": PACKAGE, "version_code": 1, "device_id": "A", "attributes": attributes});
        let checked = fixture
            .send(Method::POST, "/v1/check", &fixture.device, check.to_string())
            .await;
        checked.expect(status, MAX_REFUSAL);
        let asked = json!({"version_code": 1, "device_id": "A", "attributes": attributes});
        fixture
            .post(&in_app("/explain"), &asked)
            .await
            .expect(status, MAX_REFUSAL);
        let device = json!({"device_id": "A", "project_id": "p", "attributes": attributes});
        let enrolled = fixture
            .send(Method::POST, "/v1/devices", &fixture.device, device.to_string())
            .await;
        assert_eq!(
            enrolled.status >= 400,
            !is_accepted || enrolled.status == 409,
            "{}",
            enrolled.text
        );
        fixture.get(&in_tenant("/devices/A")).await;
    }
    fixture.assert_memory_is_bounded();
}

async fn a_batch_repeats_little_of_what_it_was_sent(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let made = fixture
        .post(&in_tenant("/app-keys"), &json!({"name": "sdk", "role": "device"}))
        .await;
    let made = made.expect(201, MAX_REFUSAL);
    let client = TopClient {
        url: format!("{}/router/rest", fixture.node.url()),
        http: fixture.http.clone(),
        app_key: text(&made["app_key"]),
        secret: text(&made["app_secret"]),
    };
    let timestamp = slipway_gateway::timestamp::format_utc8(SystemClock.now());
    let one = |name: &str| {
        format!("method={CHECK}&package_name={name}&version_code=1&device_id=A&tenant_id={TENANT}")
    };
    let mut query = client.call(CHECK, &timestamp, &[]);
    query.params.remove("method");
    for (body, code) in [
        (vec![one(&"p".repeat(20_000)); 50].join("\r\n-S-\r\n"), None),
        (vec![one(&"%22".repeat(6_000)); 50].join("\r\n-S-\r\n"), None),
        (vec!["unknown".repeat(2_000); 50].join("\r\n-S-\r\n"), None),
        (
            format!(
                "#PUBLIC#{}\r\n-S-\r\n{}",
                one(&"p".repeat(900_000)),
                ["N"; 50].join("\r\n-S-\r\n")
            ),
            Some(43),
        ),
    ] {
        for format in ["json", "xml"] {
            query.params.insert("format".to_owned(), format.to_owned());
            let began = Instant::now();
            let answer = client.send_batch(&query, &body, None).await;
            report(
                &format!("batch of {format}"),
                body.len(),
                answer.text.len(),
                began.elapsed(),
            );
            assert!(answer.text.len() < 128 * 1024, "{} bytes", answer.text.len());
            if let (Some(code), "json") = (code, format) {
                assert_eq!(answer.body["error_response"]["code"], code, "{}", answer.text);
            }
        }
    }
    for (name, value) in [
        ("package_name", "p".repeat(LONG)),
        (&*"n".repeat(LONG), "v".to_owned()),
    ] {
        let tenant = TENANT.to_string();
        let params = [
            ("version_code", "1"),
            ("device_id", "A"),
            ("tenant_id", tenant.as_str()),
            (name, value.as_str()),
        ];
        let answer = client.send(&client.call(CHECK, &timestamp, &params)).await;
        assert!(answer.text.len() < MAX_REFUSAL, "{} bytes", answer.text.len());
    }
    fixture.assert_memory_is_bounded();
}

/// Covers every operation that the server describes.
async fn refusals_repeat_little_of_what_they_refuse(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let api: Value = serde_json::from_str(&fixture.get("/openapi.json").await.text).unwrap();
    let mut tried = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            // Skips operations that end the session or delete objects of the others.
            if method == Method::DELETE || path.ends_with("/logout") {
                continue;
            }
            let token = if path.starts_with("/v1/") {
                &fixture.device
            } else {
                &fixture.admin
            };
            let filled = path
                .replace("{tenant_id}", &TENANT.to_string())
                .replace("{package_name}", PACKAGE)
                .replace("{identifier}", CHUKU)
                .replace("{device_id}", "A");
            let filled = filled
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        "0193d7a0-0000-7000-8000-000000000000"
                    } else {
                        part
                    }
                })
                .collect::<Vec<_>>()
                .join("/");
            let long_query = format!("{filled}?{}=1", "q".repeat(4_000));
            let refused = fixture
                .send(method.clone(), &long_query, token, "{}".to_owned())
                .await;
            assert!(
                refused.text.len() < MAX_REFUSAL || path == "/metrics" || path == "/openapi.json",
                "{long_query}"
            );
            tried += 1;
            let reference = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(reference) = reference.as_str() else {
                continue;
            };
            let schema = &api.pointer(reference.trim_start_matches('#')).unwrap()["properties"];
            let long = "\u{1}\"x".repeat(LONG / 10);
            let members = schema
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str());
            let mut bodies: Vec<_> = members.map(|name| json!({name: &long})).collect();
            bodies.push(json!({&long: 1}));
            bodies.push(json!([&long]));
            for body in bodies {
                let refused = fixture
                    .send(method.clone(), &filled, token, body.to_string())
                    .await;
                assert!(refused.status >= 400, "{method} {filled}: {}", refused.status);
                assert!(
                    refused.text.len() < MAX_REFUSAL,
                    "{method} {filled}: {}",
                    refused.text.len()
                );
            }
        }
    }
    assert!(tried > 40);
    fixture.assert_memory_is_bounded();
}

on_both_databases!(
    pages_end_where_their_bytes_do,
    a_largest_directory_and_a_large_fleet_are_answered,
    attributes_do_not_grow_when_they_are_flattened,
    a_batch_repeats_little_of_what_it_was_sent,
    refusals_repeat_little_of_what_they_refuse,
);
