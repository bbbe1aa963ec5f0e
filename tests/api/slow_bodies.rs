//! Incomplete bodies and heads, and calls that must not wait behind them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use slipway::services::PermitClass;
use slipway::storage::ReadTx;
use slipway_domain::catalog::ids::TenantId;
use tokio::time::timeout;

use super::harness::raw::head;
use super::harness::{
    Caller, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, app_fields, in_tenant, release_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const LOGIN: &str = "/api/v1/auth/login";

fn open(app: &TestApp, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(app.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Sends a request with an incomplete body.
fn begin(app: &TestApp, method: &str, path: &str, token: &str) -> TcpStream {
    let mut bytes = head(method, path, token, "Content-Length: 1000\r\n");
    bytes.push(b'{');
    open(app, &bytes)
}

async fn publish(merchant: &Merchant, version: i64) -> String {
    let path = in_tenant(&format!("/apps/{PACKAGE}/releases"));
    let made = merchant
        .admin
        .post(&path, &release_fields(PACKAGE, version))
        .await
        .expect(201);
    let release = format!("{path}/{}", made["id"].as_str().unwrap());
    merchant
        .admin
        .post(&format!("{release}/publish"), &json!({}))
        .await
        .expect(200);
    release
}

/// Makes every change that stops offers.
async fn switch_everything_off(platform: &Caller, admin: &Caller, releases: &[String]) {
    let path = in_tenant(&format!("/apps/{PACKAGE}"));
    let pause = format!("{}/pause", releases[0]);
    admin.post(&pause, &json!({})).await.expect(200);
    let recall = json!({"mode": "stop", "reason": "it is broken"});
    admin
        .post(&format!("{}/recall", releases[1]), &recall)
        .await
        .expect(200);
    let nobody = json!({"percent": 0});
    admin
        .put(&format!("{}/rollout", releases[0]), &nobody)
        .await
        .expect(200);
    let pin = json!({"package_name": PACKAGE, "identifier": PACKAGE, "device_id": "A", "mode": "hold",
        "reason": "it is broken"});
    admin.put(&in_tenant("/pins"), &pin).await.expect(200);
    let off = json!({"enabled": false});
    admin
        .patch(&format!("{path}/resources/{PACKAGE}"), &off)
        .await
        .expect(200);
    admin.patch(&path, &off).await.expect(200);
    let off = json!({"offers_enabled": false});
    platform
        .patch(&format!("/api/v1/tenants/{TENANT}"), &off)
        .await
        .expect(200);
}

async fn bodies_that_do_not_end_hold_no_permit(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.costly_calls = 2).await;
    let merchant = app.merchant().await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(begin(&app, "POST", LOGIN, ""));
        slow.push(begin(&app, "POST", "/api/v1/auth/refresh", ""));
        slow.push(begin(
            &app,
            "POST",
            &in_tenant("/devices"),
            merchant.admin.token(),
        ));
        slow.push(begin(&app, "POST", "/v1/devices", merchant.device.token()));
    }
    merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields("com.b"))
        .await
        .expect(201);
    app.login("admin", PASSWORD).await;
    let enrolment = json!({"device_id": "A", "project_id": "stores"});
    merchant.device.post("/v1/devices", &enrolment).await.expect(201);
    drop(slow);
}

async fn what_stops_offers_has_permits_of_its_own(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.costly_calls = 1).await;
    let merchant = app.merchant().await;
    let releases = [publish(&merchant, 1).await, publish(&merchant, 2).await];
    let platform = app.platform_admin().await;
    let tenant = TenantId::parse(TENANT).ok();
    let permits = &app.running.context.workload().permits;
    let _held = [tenant, None].map(|tenant| permits.acquire(PermitClass::Person(tenant), 0).unwrap());
    let refused = merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields("com.b"))
        .await;
    refused.problem(503, "unavailable");
    switch_everything_off(&platform, &merchant.admin, &releases).await;
}

/// Takes connections of the node's pool until none is left.
async fn exhaust_connections(app: &TestApp) -> Vec<ReadTx> {
    let mut taken = Vec::new();
    while let Ok(Ok(reader)) =
        timeout(Duration::from_millis(500), app.running.context.db().begin_read()).await
    {
        taken.push(reader);
    }
    assert!(!taken.is_empty());
    taken
}

async fn what_stops_offers_has_connections_of_its_own(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let releases = [publish(&merchant, 1).await];
    let platform = app.platform_admin().await;
    let _taken = exhaust_connections(&app).await;
    let pause = format!("{}/pause", releases[0]);
    merchant.admin.post(&pause, &json!({})).await.expect(200);
    let off = json!({"offers_enabled": false});
    platform
        .patch(&format!("/api/v1/tenants/{TENANT}"), &off)
        .await
        .expect(200);
}

async fn a_login_flood_does_not_stop_who_is_signed_in(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.costly_calls = 1).await;
    let body = json!({"username": "admin", "password": PASSWORD});
    let pair = app.anyone().post(LOGIN, &body).await.expect(200);
    let loopback = Some([127, 0, 0, 1].into());
    let permits = &app.running.context.workload().permits;
    let _held = permits.acquire(PermitClass::Login(loopback), 0).unwrap();
    app.anyone().post(LOGIN, &body).await.problem(503, "unavailable");
    let admin = app.bearer(pair["access_token"].as_str().unwrap());
    let tenant = json!({"id": TENANT, "name": "A tenant"});
    admin.post("/api/v1/tenants", &tenant).await.expect(201);
    let refresh = json!({"refresh_token": pair["refresh_token"]});
    app.anyone()
        .post("/api/v1/auth/refresh", &refresh)
        .await
        .expect(200);
}

/// All in parallel, because each takes the ten seconds of the limit.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_requests_are_abandoned() {
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let merchant = app.merchant().await;
    let enrolment = json!({"device_id": "A", "project_id": "stores"});
    let enrolled = merchant.device.post("/v1/devices", &enrolment).await.expect(201);
    let (admin, device) = (merchant.admin.token(), merchant.device.token());
    let own = enrolled["device_token"].as_str().unwrap();
    let ack = "/v1/devices/A/pushes/01890000-0000-7000-8000-000000000000/ack";
    let bodies = [
        ("POST", LOGIN.to_owned(), ""),
        ("POST", "/api/v1/auth/refresh".to_owned(), ""),
        ("POST", in_tenant("/apps"), admin),
        ("PUT", in_tenant("/org-directory"), admin),
        ("DELETE", in_tenant(&format!("/apps/{PACKAGE}")), admin),
        ("POST", "/v1/check".to_owned(), device),
        ("POST", "/v1/devices".to_owned(), device),
        ("POST", ack.to_owned(), own),
    ];
    let bodies = bodies.map(|(method, path, token)| {
        (
            format!("{method} {path}"),
            begin(&app, method, &path, token),
            "408 ",
        )
    });
    let gateway = ["/router/rest", "/router/batch?app_key=1"]
        .map(|path| (path.to_owned(), begin(&app, "POST", path, ""), "request-timeout"));
    // After these the connection is closed, whatever the answer.
    let chunked = head("POST", "/nowhere", "", "Transfer-Encoding: chunked\r\n");
    let kept = b"GET /healthz HTTP/1.1\r\nHost: slipway\r\n\r\n".as_slice();
    let others = [
        (
            "a head".to_owned(),
            open(&app, b"GET /healthz HTTP/1.1\r\nHost:"),
            "408",
        ),
        ("no head".to_owned(), open(&app, b""), ""),
        (
            "a second head".to_owned(),
            open(&app, &[kept, b"GET /he"].concat()),
            "200 ",
        ),
        (
            "an unread body".to_owned(),
            begin(&app, "POST", "/nowhere", ""),
            "404 ",
        ),
        (
            "an unread chunked body".to_owned(),
            open(&app, &[&chunked, b"5\r\nab".as_slice()].concat()),
            "404 ",
        ),
    ];
    let all = bodies.into_iter().chain(gateway).chain(others);
    let readers: Vec<_> = all
        .map(|(name, mut stream, expected)| {
            std::thread::spawn(move || {
                let mut answer = Vec::new();
                // A reset also ends the connection. A missing end gives another error.
                if let Err(error) = stream.read_to_end(&mut answer) {
                    assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{name} is kept");
                }
                let answer = String::from_utf8_lossy(&answer).into_owned();
                assert!(answer.contains(expected), "{name}: {answer}");
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
}

async fn a_call_without_a_body_takes_an_empty_one(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let path = in_tenant(&format!("/apps/{PACKAGE}"));
    let request = merchant.admin.request(Method::DELETE, &path).json(&json!({}));
    merchant.admin.send(request).await.expect(204);
}

on_both_databases!(
    bodies_that_do_not_end_hold_no_permit,
    what_stops_offers_has_permits_of_its_own,
    what_stops_offers_has_connections_of_its_own,
    a_login_flood_does_not_stop_who_is_signed_in,
    a_call_without_a_body_takes_an_empty_one,
);
