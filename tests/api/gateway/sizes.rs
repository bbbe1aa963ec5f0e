//! Requests that are too large are answered, even if they are sent completely.

use reqwest::Method;

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture};
use crate::api::harness::raw::{chunked, exchange};
use crate::api::harness::{Answer, CHECK};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const MIB: usize = 1024 * 1024;
const TOO_LARGE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response><code>43</code><msg>Parameter error</msg>\
    <sub_code>isv.request-too-large</sub_code><sub_msg>WHY</sub_msg><request_id>";
const TOO_LARGE_IN_JSON: &str = r#"{"error_response":{"code":43,"msg":"Parameter error","sub_code":"isv.request-too-large","sub_msg":"WHY","request_id":""#;

/// Returns a correctly signed check of this many bytes.
fn form_of(fixture: &Fixture, length: usize) -> String {
    let call = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
    let padding = length - call.clone().with("zz", "").form().len();
    call.with("zz", &"z".repeat(padding)).form()
}

fn head(path: &str, framing: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: slipway\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Connection: close\r\n{framing}\r\n\r\n"
    )
    .into()
}

async fn a_body_over_a_mebibyte_gets_its_answer(database: TestDatabase) {
    let fixture = fixture(database).await;
    for length in [MIB, MIB + 1, 2 * MIB, 5 * MIB] {
        let body = form_of(&fixture, length);
        assert_eq!(body.len(), length);
        for path in ["/router/rest", "/router/rest?format=json", "/router/batch"] {
            let is_read = length == MIB && path != "/router/batch";
            let expected = match (is_read, path.ends_with("json")) {
                (true, _) => "\"version_code\":240".to_owned(),
                (_, true) => TOO_LARGE_IN_JSON.replace("WHY", "a body of at most 1 MiB is read"),
                (_, false) => TOO_LARGE.replace("WHY", "a body of at most 1 MiB is read"),
            };
            if length == MIB && !is_read {
                continue;
            }
            let whole = vec![
                head(path, &format!("Content-Length: {length}")),
                body.clone().into_bytes(),
            ];
            let mut in_chunks = vec![head(path, "Transfer-Encoding: chunked")];
            in_chunks.extend(chunked(body.as_bytes(), 60_000));
            for pieces in [whole, in_chunks] {
                let answer = exchange(&fixture.app.url, pieces).await;
                assert!(
                    answer.starts_with("HTTP/1.1 200 OK\r\n"),
                    "{length} {path}: {answer}"
                );
                assert!(answer.contains(&expected), "{length} {path}: {answer}");
            }
            // A client with persistent connections gets the same answer, and its next call works.
            let request = fixture.app.anyone().request(Method::POST, path);
            let answer = fixture.app.anyone().send(request.body(body.clone())).await;
            assert!(
                answer.text.contains(&expected),
                "{length} {path}: {}",
                answer.text
            );
            let next = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
            assert!(
                fixture
                    .client
                    .send(&next)
                    .await
                    .text
                    .contains("\"version_code\":240")
            );
        }
    }
}

async fn more_than_a_hundred_parameters_are_refused(database: TestDatabase) {
    let fixture = fixture(database).await;
    let why = "at most 100 parameters are read";
    let call = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
    let mut full = call.clone();
    while full.params.len() < 99 {
        let name = format!("zz{}", full.params.len());
        full = full.with(&name, "1");
    }
    let with_signature = fixture.client.send(&full).await;
    assert!(
        with_signature.text.contains("\"version_code\":240"),
        "{}",
        with_signature.text
    );
    let over = full.with("zzz", "1");
    assert!(
        fixture
            .client
            .send(&over)
            .await
            .text
            .starts_with(&TOO_LARGE.replace("WHY", why))
    );
    let in_json = TOO_LARGE_IN_JSON.replace("WHY", why);
    let url = format!("{}?format=json", fixture.client.url);
    let request = fixture.client.http.post(url).body(over.form());
    assert!(
        Answer::read(request.send().await.unwrap())
            .await
            .text
            .starts_with(&in_json)
    );
}

on_both_databases!(
    a_body_over_a_mebibyte_gets_its_answer,
    more_than_a_hundred_parameters_are_refused,
);
