//! Examples of the API's description: the server accepts those of requests, and answers like those of responses.

use serde_json::{Value, json};

use super::described_operations::{Callers, with_descriptions};
use super::harness::{TENANT, TestApp, app_fields, in_tenant, release_fields};
use super::operations::{Objects, call, operations};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn the_examples_of_requests_are_accepted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    // The app, the resource and the device of the examples.
    admin
        .post(&in_tenant("/apps"), &app_fields("com.hema.wms"))
        .await
        .expect(201);
    let device = json!({"devices": [{"device_id": "HM8007PDA001", "project_id": "hema-stores"}]});
    admin.post(&in_tenant("/devices"), &device).await.expect(200);
    let release = release_fields("com.hema.wms.chuku", 1);
    let releases = in_tenant("/apps/com.hema.wms/releases");
    admin.post(&releases, &release).await.expect(201);
    for (mut operation, described) in with_descriptions(operations(&objects)) {
        let body = &described.object["requestBody"];
        // An upload has the bytes of a file.
        if body["content"]["application/json"].is_null() {
            continue;
        }
        let example = &body["content"]["application/json"]["example"];
        assert!(example.is_object(), "{} has no example", operation.id);
        let mut body = example.clone();
        if operation.id == "publish_releases" {
            // The example contains the id of a nonexistent release.
            body["release_ids"] = operation.body.unwrap_or_default()["release_ids"].take();
        }
        operation.body = Some(body);
        let answer = call(callers.of_operation(&described), &operation).await;
        let context = format!("{} {example}: {} {}", operation.id, answer.status, answer.text);
        assert!(![400, 415, 422].contains(&answer.status), "{context}");
        assert!(answer.status < 500, "{context}");
    }
}

async fn the_examples_of_responses_have_the_fields_of_responses(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 1).await;
    let callers = Callers::of(&app, &admin, &objects).await;
    let mut compared = 0;
    for (operation, described) in with_descriptions(operations(&objects)) {
        if operation.id == "receive_events" {
            continue;
        }
        let answer = call(callers.of_operation(&described), &operation).await;
        let response = &described.object["responses"][answer.status.to_string()];
        let example = &response["content"]["application/json"]["example"];
        if answer.body.is_object() && response["$ref"].is_null() {
            compared += 1;
            expect_alike(example, &answer.body, operation.id);
        }
    }
    assert!(compared > 50, "{compared}");
}

/// Checks that the answer has the same types as the example and no additional field.
fn expect_alike(example: &Value, answer: &Value, place: &str) {
    match (example, answer) {
        (Value::Object(example), Value::Object(answer)) if !example.is_empty() => {
            for (name, value) in answer {
                let shown = example.get(name);
                let shown = shown.unwrap_or_else(|| panic!("the example of {place} has no {name}"));
                expect_alike(shown, value, &format!("{place}.{name}"));
            }
        }
        (Value::Array(example), Value::Array(answer)) => {
            for (example, answer) in example.iter().zip(answer) {
                expect_alike(example, answer, &format!("{place}[]"));
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (example, answer) => {
            let is_same = std::mem::discriminant(example) == std::mem::discriminant(answer);
            assert!(is_same, "{place}: {example} is not like {answer}");
        }
    }
}

on_both_databases!(
    the_examples_of_requests_are_accepted,
    the_examples_of_responses_have_the_fields_of_responses,
);
