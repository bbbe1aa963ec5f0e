//! Calls that cost the server more than the caller, and calls of an unauthenticated attacker.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_gateway::sign::{SignMethod, canonical_text};
use uuid::Uuid;

use crate::connection::{Connection, post};
use crate::fleet::Tenant;
use crate::node::ADMIN;
use crate::parts::publish::release;

/// Tenant of the attacker.
const OWN: Tenant = Tenant(0);
const DIRECTORY_NODES: usize = 100_000;
/// Number of releases whose lists together exceed the maximum size of a page.
const LISTED_RELEASES: u32 = 6;

/// Repeats a request until the flag is set, with a `pause` after each answer.
pub(super) fn repeat(
    address: SocketAddr,
    pause: Duration,
    is_over: &AtomicBool,
    request: impl Fn() -> Vec<u8>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    while !is_over.load(Ordering::Relaxed) {
        let answer = connection.send(&request())?;
        let is_refused_or_done = matches!(answer.status, 200 | 401 | 429 | 503);
        ensure!(
            is_refused_or_done,
            "an attack was answered with {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        thread::sleep(pause);
    }
    Ok(())
}

pub(super) fn wrong_password() -> Vec<u8> {
    let body = json!({"username": ADMIN, "password": "a wrong password"});
    post("/api/v1/auth/login", None, "application/json", &body.to_string())
}

/// Returns a well-formed token that the server never issued.
pub(super) fn invalid_token() -> Vec<u8> {
    let (id, secret) = (Uuid::new_v4().simple(), "0".repeat(64));
    get("/api/v1/tenants", &format!("slipway_token_{id}_{secret}"))
}

/// Returns a check with the maximum number of attributes and names of maximum length.
pub(super) fn check_with_many_attributes() -> Vec<u8> {
    let prefix = "k".repeat(252);
    let inner: Value = (0..256).map(|n| (format!("{n:03}"), json!(n))).collect();
    let check = json!({
        "package_name": OWN.app(0).package_name(),
        "version_code": 1,
        "device_id": "attacker",
        "attributes": {prefix: inner},
    });
    post(
        "/v1/check",
        Some(&OWN.device_key()),
        "application/json",
        &check.to_string(),
    )
}

/// Returns a batch with the maximum number of calls, each for an app with a very long name.
#[expect(
    clippy::disallowed_methods,
    reason = "signatures are made for the real clock of a real server"
)]
pub(super) fn batch_of_long_names() -> Vec<u8> {
    let call = format!(
        "method=wdk.rexout.resource.list.check&package_name={}&version_code=1&device_id=attacker&tenant_id={}",
        "p".repeat(20_000),
        OWN.number()
    );
    let body = vec![call; 50].join("\r\n-S-\r\n");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (app_key, timestamp) = (OWN.app_key(), now.as_millis().to_string());
    let mut params = vec![
        ("app_key", app_key.as_str()),
        ("timestamp", timestamp.as_str()),
        ("v", "2.0"),
        ("sign_method", "hmac-sha256"),
        ("format", "json"),
    ];
    let text = canonical_text(&params.iter().copied().collect()) + &body;
    let signature = hex::encode_upper(SignMethod::HmacSha256.sign(&OWN.app_secret(), &text));
    params.push(("sign", &signature));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish();
    post(
        &format!("/router/batch?{query}"),
        None,
        "text/plain;charset=UTF-8",
        &body,
    )
}

/// Requests a page of releases that each list 10,000 devices.
pub(super) fn page_of_long_lists(token: &str) -> Vec<u8> {
    get(&format!("{}/releases?limit=200", path_of_app(1)), token)
}

/// Requests an explanation with the largest directory.
pub(super) fn explanation(token: &str) -> Vec<u8> {
    let asked = json!({"version_code": 1, "device_id": "attacker", "org_info": {"l3Code": "S4711"}});
    post(
        &format!("{}/explain", path_of_app(0)),
        Some(token),
        "application/json",
        &asked.to_string(),
    )
}

/// Creates the data that the expensive reads need.
pub(super) fn prepare(address: SocketAddr, token: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let mut nodes = String::from(r#"{"nodes":["#);
    for n in 0..DIRECTORY_NODES {
        let comma = if n == 0 { "" } else { "," };
        write!(nodes, r#"{comma}{{"path":["FM","R{}","S{n}"]}}"#, n % 100)?;
    }
    nodes.push_str("]}");
    let path = format!("/api/v1/tenants/{}/org-directory", OWN.number());
    let put = post(&path, Some(token), "application/json", &nodes);
    let answer = connection.send(&[b"PUT", &put[b"POST".len()..]].concat())?;
    ensure!(
        answer.status == 200,
        "the directory was answered with {}",
        answer.status
    );
    let devices: Vec<_> = (0..10_000).map(|n| format!("{n:05}{}", "d".repeat(90))).collect();
    let app = OWN.app(1).package_name();
    for version in 1..=LISTED_RELEASES {
        let mut body = release(&format!("{app}.listed"), version);
        body["device_ids"] = json!(devices);
        let answer = connection.post(&format!("{}/releases", path_of_app(1)), Some(token), &body)?;
        ensure!(
            answer.status == 201,
            "a release was answered with {}",
            answer.status
        );
    }
    Ok(())
}

fn path_of_app(number: u32) -> String {
    let app = OWN.app(number).package_name();
    format!("/api/v1/tenants/{}/apps/{app}", OWN.number())
}

fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: slipway.example\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}
