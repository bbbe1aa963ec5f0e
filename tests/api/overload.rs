//! A node that is overloaded, or is stopping.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use slipway::services::PermitClass;
use slipway_domain::catalog::ids::TenantId;

use super::harness::{TENANT, TestApp, app_fields, check_fields, in_tenant};
use super::two_nodes::node::Node;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const DEADLINE: Duration = Duration::from_secs(20);

async fn writes_beyond_the_permits_are_told_to_come_back_and_checks_go_on(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.costly_calls = 1).await;
    let merchant = app.merchant().await;
    let permits = &app.running.context.workload().permits;
    let tenant = TenantId::parse(TENANT).unwrap();
    let held = [
        PermitClass::Person(Some(tenant)),
        PermitClass::Device(tenant),
        PermitClass::Login(Some([127, 0, 0, 1].into())),
    ]
    .map(|class| permits.acquire(class, 0).unwrap());
    let (path, body) = (in_tenant("/apps"), app_fields("com.b"));
    let refused = merchant.admin.post(&path, &body).await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=8).contains(&seconds), "{seconds}");
    refused.problem(503, "unavailable");
    let login = json!({"username": "admin", "password": "wrong"});
    let login = app.anyone().post("/api/v1/auth/login", &login).await;
    login.problem(503, "unavailable");
    let enrolment = json!({"device_id": "A", "project_id": "stores"});
    let enrolment = merchant.device.post("/v1/devices", &enrolment).await;
    enrolment.problem(503, "unavailable");
    // Neither checks nor reads need a permit.
    merchant
        .device
        .post("/v1/check", &check_fields())
        .await
        .expect(200);
    merchant.admin.get(&in_tenant("/apps")).await.expect(200);

    drop(held);
    merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields("com.c"))
        .await
        .expect(201);
}

/// A whole process receives `SIGTERM`, so the node is a separate process.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_stop_says_so_first_and_finishes_what_it_has_begun() {
    let database = TestDatabase::sqlite().await;
    let mut node = Node::start_with(&database.url, &[("SLIPWAY_DRAIN_S", "1")]);
    assert_eq!(node.get("/readyz").await.status, 200);
    let mut begun = TcpStream::connect(node.address()).unwrap();
    begun
        .write_all(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: slipway\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    node.terminate();
    let deadline = Instant::now() + DEADLINE;
    while node.get("/readyz").await.status != 503 {
        assert!(
            Instant::now() < deadline,
            "the node says that it is about to stop"
        );
    }
    // A request begun before the stop is answered.
    begun.write_all(b"{}").unwrap();
    let mut answer = [0; 12];
    begun.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    drop(begun);
    assert!(node.has_ended_well(Instant::now() + DEADLINE));
}

on_both_databases!(writes_beyond_the_permits_are_told_to_come_back_and_checks_go_on);
