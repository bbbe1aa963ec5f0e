//! Answers are compressed only for clients that accept gzip.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Response;

use super::fixture::{DEVICE_CHECK, Fixture, TIMESTAMP, fixture};
use crate::api::harness::{CHECK, TopCall, form};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Sends a call to one of the two paths, and returns the raw answer.
async fn send(fixture: &Fixture, path: &str, call: &TopCall, accept_encoding: Option<&str>) -> Response {
    let body = "method=no.such.method";
    let request = if path == "/router/rest" {
        fixture
            .client
            .http
            .get(format!("{}?{}", fixture.client.url, call.form()))
    } else {
        let query = form(&call.clone().without("method").signed_with(body));
        fixture
            .client
            .http
            .post(format!("{}{path}?{query}", fixture.app.url))
            .body(body)
    };
    let request = match accept_encoding {
        Some(accepted) => request.header("accept-encoding", accepted),
        None => request,
    };
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn unzipped(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// Removes the request id, which has 13 characters.
fn without_id(text: &str) -> String {
    let start = text.find("request_id").unwrap();
    let id: String = text[start + 10..]
        .trim_start_matches(['"', ':', '>'])
        .chars()
        .take(13)
        .collect();
    text.replace(&id, "ID")
}

async fn gzip_is_sent_to_those_who_ask_for_it(database: TestDatabase) {
    let fixture = fixture(database).await;
    let good = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
    let calls = [
        ("/router/rest", good.clone()),
        ("/router/rest", good.clone().with("format", "xml")),
        ("/router/rest", good.clone().with("sign", "00")),
        ("/router/rest", good.clone().without("app_key")),
        ("/router/batch", fixture.client.call(CHECK, TIMESTAMP, &[])),
        (
            "/router/batch",
            fixture.client.call(CHECK, TIMESTAMP, &[]).with("sign", "00"),
        ),
    ];
    for (path, call) in calls {
        let plain = send(&fixture, path, &call, None).await;
        assert_eq!(header(&plain, "content-encoding"), "");
        assert_eq!(header(&plain, "vary"), "Accept-Encoding");
        let expected = without_id(&plain.text().await.unwrap());
        for accepted in ["gzip", "gzip, deflate", "deflate;q=1, GZIP;q=0.001, br"] {
            let answer = send(&fixture, path, &call, Some(accepted)).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "content-encoding"), "gzip", "{accepted}");
            assert_eq!(header(&answer, "vary"), "Accept-Encoding");
            let raw = answer.bytes().await.unwrap();
            assert!(raw.starts_with(&[0x1f, 0x8b]), "{raw:?}");
            assert_eq!(without_id(&unzipped(&raw)), expected);
        }
        for accepted in [
            "",
            "identity",
            "*",
            "deflate",
            "br, zstd",
            "gzip;q=0",
            "gzip;q=0.000, deflate",
        ] {
            let answer = send(&fixture, path, &call, Some(accepted)).await;
            assert_eq!(header(&answer, "content-encoding"), "", "{accepted}");
            assert_eq!(without_id(&answer.text().await.unwrap()), expected, "{accepted}");
        }
    }
}

on_both_databases!(gzip_is_sent_to_those_who_ask_for_it);
