//! Bodies that are too large or incomplete, and refusals that stay short.

use reqwest::Method;
use serde_json::json;

use super::apps::create_app;
use super::bodies::operations;
use super::fixture::{Fixture, app_path, judge, tenant};
use super::releases::create_release;
use super::table::{ExpectedProblem, Row};
use crate::api::harness::raw::{self, chunked, exchange, head};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const MIB: usize = 1024 * 1024;

/// Pads a text with blanks to a length.
fn padded(text: &str, length: usize) -> String {
    text.to_owned() + &" ".repeat(length - text.len())
}

async fn a_body_over_a_mebibyte_is_too_large(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let before = fixture.everything().await;
    let too_large = ExpectedProblem::status(413, "too_large");
    for (caller, operation) in operations(&fixture) {
        if operation.path.ends_with("/org-directory") {
            continue;
        }
        let padded = |length| padded(&operation.valid.to_string(), length);
        let rows = [padded(MIB + 1), "x".repeat(MIB + 1), padded(2 * MIB)].map(|body| Row {
            label: format!("{} bytes", body.len()),
            body: body.into(),
            expected: too_large.clone(),
        });
        fixture.try_rows(&caller, &operation, rows.into()).await;
    }
    assert_eq!(fixture.everything().await, before);
    let check = json!({"package_name": "com.hema.wms", "version_code": 50, "device_id": "PDA001"});
    let exactly = padded(&check.to_string(), MIB);
    let request = fixture.device.request(Method::POST, "/v1/check").body(exactly);
    fixture.device.send(request).await.expect(200);
    fixture.finish();
}

/// A body without a length is counted as it arrives.
async fn a_chunked_body_over_a_mebibyte_is_too_large(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let made = fixture
        .admin
        .post(&tenant("/device-keys"), &json!({"name": "raw"}))
        .await
        .expect(201);
    let key = made["device_key"].as_str().unwrap();
    let check =
        json!({"package_name": "com.hema.wms", "version_code": 50, "device_id": "PDA001"}).to_string();
    for (length, status) in [(check.len(), 200), (MIB, 200), (MIB + 1, 413), (3 * MIB, 413)] {
        let mut pieces = vec![head("POST", "/v1/check", key, "Transfer-Encoding: chunked\r\n")];
        pieces.extend(chunked(padded(&check, length).as_bytes(), 100_000));
        let answer = exchange(&fixture.app.url, pieces).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{length}: {answer}");
        assert_eq!(
            answer.contains("\"code\":\"too_large\""),
            status == 413,
            "{answer}"
        );
    }
}

/// A client that disconnects within a body, or sends a wrong length, writes nothing.
async fn a_body_that_breaks_off_writes_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let made = fixture
        .admin
        .post(&tenant("/api-tokens"), &json!({"name": "raw", "role": "admin"}))
        .await;
    let made = made.expect(201);
    let token = made["token"].as_str().unwrap();
    let before = fixture.everything().await;
    let body = create_app().valid.to_string();
    let (half, _) = body.split_at(body.len() / 2);
    let longer = format!("Content-Length: {}\r\n", body.len() + 1);
    let path = tenant("/apps");
    let whole = chunked(body.as_bytes(), 10);
    let unfinished = whole[..whole.len() - 1].to_vec();
    let heads = [longer.as_str(), "Transfer-Encoding: chunked\r\n"];
    for (head, pieces) in [
        (heads[0], vec![half.into()]),
        (heads[0], vec![body.clone().into()]),
        (heads[1], unfinished),
        (heads[1], vec![b"zz\r\n{}\r\n".to_vec()]),
        ("Content-Length: abc\r\n", vec![body.clone().into()]),
        ("Content-Length: -1\r\n", vec![body.clone().into()]),
        (
            "Content-Length: 99999999999999999999\r\n",
            vec![body.clone().into()],
        ),
    ] {
        let mut all = vec![raw::head("POST", &path, token, head)];
        all.extend(pieces);
        let answer = exchange(&fixture.app.url, all).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{head}: {answer}"
        );
    }
    assert_eq!(fixture.everything().await, before);
    fixture.app.anyone().get("/healthz").await.expect(200);
}

/// A refusal does not repeat a long value.
async fn a_refusal_is_shorter_than_what_it_refuses(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let long = "x".repeat(100_000);
    for (field, value) in [
        ("version_code", json!(long)),
        ("size", json!([long])),
        ("version_name", json!(long)),
        ("mandatory", json!(long)),
        ("rollout", json!(long)),
        ("rollout", json!({"percent": long})),
        ("org_scopes", json!([long])),
        ("starts_at", json!(long)),
        ("config_json", json!(long)),
        ("sha256", json!(long)),
    ] {
        let row = create_release().row(&json!({field: value}), ExpectedProblem::field(field));
        let body = serde_json::from_slice(&row.body).unwrap();
        let answer = fixture.admin.post(&app_path("/releases"), &body).await;
        assert!(answer.text.len() < 2_000, "{field}: {} bytes", answer.text.len());
        assert!(answer.wrong_fields()[0].starts_with(field));
    }
    let unknown = fixture.admin.post(&tenant("/apps"), &json!({&long: 1})).await;
    assert_eq!(
        judge(&unknown, &ExpectedProblem::field(format!("{}…", &long[..127]))).err(),
        None
    );
}

on_both_databases!(
    a_body_over_a_mebibyte_is_too_large,
    a_chunked_body_over_a_mebibyte_is_too_large,
    a_body_that_breaks_off_writes_nothing,
    a_refusal_is_shorter_than_what_it_refuses,
);
