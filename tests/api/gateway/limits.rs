//! Limit on calls by key and device, including calls in batches.

use serde_json::Value;

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture, stage_with};
use crate::api::harness::{CHECK, TENANT, TopClient};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const SEPARATOR: &str = "\r\n-S-\r\n";

async fn limited_stage(database: TestDatabase) -> Fixture {
    stage_with(database, |config| config.gateway_calls_per_minute = 2).await
}

/// Makes a check. Returns the error code, 0 for none, and the answer.
async fn check(client: &TopClient, device_id: &str) -> (i64, String) {
    let call = client
        .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
        .with("device_id", device_id);
    let answer = client.send(&call).await;
    (code(&answer.body), answer.text)
}

fn code(answer: &Value) -> i64 {
    answer["error_response"]["code"].as_i64().unwrap_or(0)
}

/// Returns the seconds to wait in an answer, which must be exactly this error.
fn seconds_of(text: &str) -> u64 {
    let start = r#"{"error_response":{"code":7,"msg":"App Call Limited","sub_code":"accesscontrol.limited-by-app-api-access-count","sub_msg":"This ban will last for "#;
    let rest = text.strip_prefix(start).unwrap_or_else(|| panic!("{text}"));
    let (seconds, rest) = rest.split_once(' ').unwrap();
    assert!(rest.starts_with(r#"more seconds","request_id":""#), "{text}");
    seconds.parse().unwrap()
}

async fn a_device_may_call_so_often_a_minute(database: TestDatabase) {
    let fixture = limited_stage(database).await;
    let other_key = fixture.app.top_client(&fixture.admin, TENANT, "device").await;
    assert_eq!(check(&fixture.client, "a").await.0, 0);
    assert_eq!(check(&fixture.client, "a").await.0, 0);
    let (_, refused) = check(&fixture.client, "a").await;
    assert!((1..=30).contains(&seconds_of(&refused)), "{refused}");
    assert_eq!(check(&fixture.client, "b").await.0, 0, "another device goes on");
    assert_eq!(check(&other_key, "a").await.0, 0, "another key goes on");
    let (_, refused) = check(&fixture.client, "a").await;
    seconds_of(&refused);
    let xml = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
    let xml = xml.with("device_id", "a").with("format", "xml");
    let answer = fixture.client.send(&xml).await.text;
    let start = "<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response><code>7</code><msg>App Call Limited</msg>\
        <sub_code>accesscontrol.limited-by-app-api-access-count</sub_code><sub_msg>This ban will last for ";
    assert!(answer.starts_with(start), "{answer}");
}

/// Otherwise anybody could use up a device's calls.
async fn a_call_that_is_not_signed_is_not_counted(database: TestDatabase) {
    let fixture = limited_stage(database).await;
    for _ in 0..3 {
        let call = fixture
            .client
            .call(CHECK, TIMESTAMP, &DEVICE_CHECK)
            .with("sign", "00");
        assert_eq!(code(&fixture.client.send(&call).await.body), 25);
    }
    assert_eq!(check(&fixture.client, "PDA001").await.0, 0);
}

async fn every_call_of_a_batch_counts(database: TestDatabase) {
    let fixture = limited_stage(database).await;
    let query = fixture.client.call("", TIMESTAMP, &[]).without("method");
    let piece = |device: &str| {
        format!(
            "method={CHECK}&package_name=com.hema.wms&version_code=50&device_id={device}&tenant_id=10000000"
        )
    };
    let body = ["a", "a", "b", "a", "b"].map(piece).join(SEPARATOR);
    let answer = fixture.client.send_batch(&query, &body, None).await;
    let answers: Vec<_> = answer.text.split(SEPARATOR).collect();
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| code(&serde_json::from_str(answer).unwrap()))
        .collect();
    assert_eq!(codes, [0, 0, 0, 7, 0]);
    seconds_of(answers[3]);
    assert_eq!(check(&fixture.client, "b").await.0, 7);
}

async fn there_is_no_limit_unless_one_is_set(database: TestDatabase) {
    let fixture = fixture(database).await;
    for _ in 0..20 {
        assert_eq!(check(&fixture.client, "a").await.0, 0);
    }
}

on_both_databases!(
    a_device_may_call_so_often_a_minute,
    a_call_that_is_not_signed_is_not_counted,
    every_call_of_a_batch_counts,
    there_is_no_limit_unless_one_is_set,
);
