//! Headers of requests and responses: the server reads and sends exactly those in the API's description.

use serde_json::Value;

use super::described_operations::{Callers, DescribedOperation, document, resolve, with_descriptions};
use super::harness::{Answer, TENANT, TestApp};
use super::operations::{Objects, call, operations};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Headers of some answers only.
const OWN: [&str; 9] = [
    "ETag",
    "Slipway-Revision",
    "Slipway-Stale",
    "Slipway-Pushes-Waiting",
    "Slipway-Token-Renewal",
    "Idempotency-Replayed",
    "Retry-After",
    "Allow",
    "WWW-Authenticate",
];

async fn the_headers_that_are_read_are_described(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let invalid = [
        ("If-Match", "unquoted".to_owned()),
        ("Idempotency-Key", "x".repeat(256)),
    ];
    for (number, (name, value)) in (1..).zip(invalid) {
        let objects = Objects::make(&app, &admin, TENANT, number).await;
        let callers = Callers::of(&app, &admin, &objects).await;
        for (operation, described) in with_descriptions(operations(&objects)) {
            if operation.id == "receive_events" {
                continue;
            }
            let caller = callers.of_operation(&described);
            let request = caller.request(operation.method.clone(), &operation.path);
            let request = match &operation.body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = caller.send(request.header(name, value.clone())).await;
            let is_read = answer.status == 400 && answer.text.contains(&format!("\"field\":\"{name}\""));
            let is_described = is_described(&described, name);
            assert_eq!(is_read, is_described, "{} {name}: {}", operation.id, answer.text);
        }
    }
}

async fn the_headers_that_are_sent_are_described(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    for (operation, described) in with_descriptions(operations(&objects)) {
        if operation.id == "receive_events" {
            continue;
        }
        let answer = call(callers.of_operation(&described), &operation).await;
        expect_described(&described, &answer);
        let refused = call(&app.bearer("unknown"), &operation).await;
        expect_described(&described, &refused);
    }
}

fn expect_described(described: &DescribedOperation, answer: &Answer) {
    let document = document();
    let context = format!("{} {}: {}", described.id, answer.status, answer.text);
    let response = &described.object["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{context} is not described");
    let headers = &resolve(document, response)["headers"];
    assert!(!headers["X-Request-Id"].is_null(), "{context}");
    for name in OWN {
        let is_sent = !answer.header(&name.to_lowercase()).is_empty();
        assert!(!is_sent || !headers[name].is_null(), "{name} of {context}");
    }
    assert!(
        headers["ETag"].is_null() || !answer.header("etag").is_empty(),
        "no ETag of {context}"
    );
}

fn is_described(operation: &DescribedOperation, name: &str) -> bool {
    let document = document();
    let parameters = operation.object["parameters"].as_array();
    let is_named = |parameter: &Value| resolve(document, parameter)["name"] == name;
    parameters.into_iter().flatten().any(is_named)
}

on_both_databases!(
    the_headers_that_are_read_are_described,
    the_headers_that_are_sent_are_described,
);
