//! Compression of responses, and paths with a trailing slash.

use std::io::Read as _;

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use serde_json::{Value, json};

use super::harness::{CHUKU, Caller, TestApp, in_app, in_tenant, path_of};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const CHECK: &str = "/v1/check?package_name=com.hema.wms&version_code=50&device_id=PDA001";

/// Requests a path with a coding, and returns the headers and the bytes.
async fn get(caller: &Caller, path: &str, coding: &str) -> (HeaderMap, Vec<u8>) {
    let request = caller.request(Method::GET, path).header(ACCEPT_ENCODING, coding);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    (headers, response.bytes().await.unwrap().to_vec())
}

fn decode(coding: &str, bytes: &[u8]) -> Value {
    let text = match coding {
        "gzip" => {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut text)
                .unwrap();
            text
        }
        "zstd" => zstd::stream::decode_all(bytes).unwrap(),
        _ => panic!("{coding}"),
    };
    serde_json::from_slice(&text).unwrap()
}

async fn checks_lists_and_the_description_are_compressed_on_request(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let releases = in_app("/releases");
    for (caller, path) in [
        (&merchant.device, CHECK),
        (&merchant.admin, releases.as_str()),
        (&app.anyone(), "/openapi.json"),
    ] {
        let plain = caller.get(path).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for coding in ["gzip", "zstd"] {
            let (headers, bytes) = get(caller, path, coding).await;
            assert_eq!(headers["content-encoding"], coding, "{path}");
            assert_eq!(headers["vary"], "Accept-Encoding", "{path}");
            assert!(bytes.len() < plain.text.len(), "{path}");
            assert_eq!(decode(coding, &bytes), plain.body, "{path}");
        }
        let (headers, bytes) = get(caller, path, "identity, br").await;
        assert!(!headers.contains_key("content-encoding"), "{path}");
        assert_eq!(bytes, plain.text.as_bytes(), "{path}");
    }
}

async fn the_tag_of_a_compressed_check_is_weak_and_is_recognised(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let (headers, _) = get(&merchant.device, CHECK, "gzip").await;
    let tag = headers["etag"].to_str().unwrap();
    assert!(tag.starts_with("W/\""), "{tag}");
    let request = merchant.device.request(Method::GET, CHECK);
    let again = request.header("If-None-Match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
}

async fn objects_and_streams_are_not_compressed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    // Its tag is for If-Match, which compares strongly.
    let (headers, _) = get(&merchant.admin, &path_of(&release), "gzip, zstd").await;
    assert!(!headers.contains_key("content-encoding"));
    assert!(headers["etag"].to_str().unwrap().starts_with('"'));
    let enrolment = json!({"device_id": "PDA001", "project_id": "stores"});
    let token = merchant.device.post("/v1/devices", &enrolment).await.expect(201);
    let device = app.bearer(token["device_token"].as_str().unwrap());
    let request = device.request(Method::GET, "/v1/devices/PDA001/events");
    let stream = request
        .header(ACCEPT_ENCODING, "gzip, zstd")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), 200);
    assert!(!stream.headers().contains_key("content-encoding"));
}

async fn a_slash_at_the_end_of_a_path_does_not_matter(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    for (caller, path) in [
        (&merchant.device, CHECK.to_owned()),
        (&merchant.admin, in_tenant("/apps?limit=1")),
        (&app.anyone(), "/healthz".to_owned()),
        (&app.anyone(), "/openapi.json".to_owned()),
    ] {
        let with_slash = match path.split_once('?') {
            Some((path, query)) => format!("{path}/?{query}"),
            None => format!("{path}/"),
        };
        assert_eq!(caller.get(&with_slash).await.text, caller.get(&path).await.text);
    }
    app.anyone().get("/nothing/").await.problem(404, "not_found");
    app.anyone().get("//").await.problem(404, "not_found");
    let wrong_method = app.anyone().delete("/v1/check/").await;
    wrong_method.problem(405, "method_not_allowed");
}

on_both_databases!(
    checks_lists_and_the_description_are_compressed_on_request,
    the_tag_of_a_compressed_check_is_weak_and_is_recognised,
    objects_and_streams_are_not_compressed,
    a_slash_at_the_end_of_a_path_does_not_matter,
);
