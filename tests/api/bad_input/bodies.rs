//! Bodies that are not JSON, not objects or of another type, on operations of every kind.

use reqwest::Method;
use serde_json::json;

use super::apps::{create_app, update_app};
use super::fixture::{Fixture, app_path, tenant};
use super::org_directory::replace;
use super::pins::pin_of_device;
use super::release_life::{recall, verb};
use super::releases::{create_release, update_release};
use super::table::{ExpectedProblem, Operation, Row};
use crate::api::harness::Caller;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Returns an operation of every kind, and its caller.
pub(super) fn operations(fixture: &Fixture) -> Vec<(Caller, Operation)> {
    let check = json!({"package_name": "com.hema.wms", "version_code": 50, "device_id": "PDA001"});
    let explain = Operation::new(Method::POST, app_path("/explain"), check.clone(), Vec::new());
    let login = json!({"username": "admin", "password": "correct horse battery"});
    let name = json!({"name": "a name"});
    let admin = [
        create_app(),
        update_app(),
        create_release(),
        update_release(&fixture.draft),
        verb(&fixture.published, "pause", json!({}), Vec::new()),
        recall(&fixture.published),
        pin_of_device(),
        replace(),
        explain,
        Operation::new(Method::POST, tenant("/device-keys"), name, Vec::new()),
    ];
    let mut all: Vec<_> = admin.map(|operation| (fixture.admin.clone(), operation)).into();
    let check = Operation::new(Method::POST, "/v1/check", check, Vec::new());
    all.push((fixture.device.clone(), check));
    let login = Operation::new(Method::POST, "/api/v1/auth/login", login, Vec::new());
    all.push((fixture.app.anyone(), login));
    all
}

async fn what_is_no_json_object_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let before = fixture.everything().await;
    for (caller, operation) in operations(&fixture) {
        let valid = operation.valid.to_string();
        let mut bodies: Vec<Vec<u8>> = [
            "[]",
            "[{}]",
            "[1]",
            "\"x\"",
            "\"{}\"",
            "null",
            "5",
            "true",
            "{",
            "}",
            "[",
            "{]",
            "{}}",
            "{},",
            "{'a':1}",
            "{a:1}",
            "{} {}",
            "x",
            "<a/>",
            "a=b&c=d",
            "// {}",
            "{}\0",
            "\u{feff}{}",
            "nul",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        bodies.push(valid.as_bytes()[..valid.len() - 1].to_vec());
        bodies.push(format!("{valid}x").into());
        bodies.push(format!("{valid}{valid}").into());
        bodies.push(format!("[{valid}]").into());
        bodies.push("[".repeat(100_000).into());
        bodies.push(format!("{}{}", "[".repeat(200), "]".repeat(200)).into());
        bodies.push(b"\xff\xfe{}".to_vec());
        bodies.push(valid.encode_utf16().flat_map(u16::to_le_bytes).collect());
        let rows = bodies.into_iter().map(|body| Row {
            label: String::from_utf8_lossy(&body).into_owned(),
            body,
            expected: ExpectedProblem::field("body"),
        });
        fixture.try_rows(&caller, &operation, rows.collect()).await;
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// Bytes that are not UTF-8 are invalid JSON at any position.
async fn texts_that_are_no_utf8_are_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let before = fixture.everything().await;
    for (caller, operation) in operations(&fixture) {
        let valid = operation.valid.to_string();
        let Some(quote) = valid.rfind('"') else { continue };
        for broken in [
            &b"\xff"[..],
            b"\xc3",
            b"\xed\xa0\x80",
            b"\xc0\x80",
            b"\xf5\x80\x80\x80",
        ] {
            let (start, end) = valid.as_bytes().split_at(quote);
            let row = Row {
                label: format!("{broken:?} before the last quote"),
                body: [start, broken, end].concat(),
                expected: ExpectedProblem::field("body"),
            };
            fixture.try_rows(&caller, &operation, vec![row]).await;
        }
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// An empty body is an object without members.
async fn an_empty_body_names_what_is_required(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let device = fixture.device.clone();
    let before = fixture.everything().await;
    let check = Operation::new(Method::POST, "/v1/check", json!({}), Vec::new());
    let release = [
        "identifier",
        "version_code",
        "version_name",
        "download_url",
        "size",
        "md5",
    ];
    let cases: [(&Caller, Operation, &[&str]); 6] = [
        (&admin, create_app(), &["package_name", "app_name"]),
        (&admin, create_release(), &release),
        (&admin, recall(&fixture.published), &["mode", "reason"]),
        (
            &admin,
            pin_of_device(),
            &["package_name", "identifier", "device_id", "mode", "reason"],
        ),
        (&admin, replace(), &["nodes"]),
        (&device, check, &["package_name", "version_code", "device_id"]),
    ];
    for (caller, operation, required) in cases {
        let rows = ["", " \r\n\t ", "{}"].map(|body| Row {
            label: format!("{body:?}"),
            body: body.into(),
            expected: ExpectedProblem::fields(required.iter().copied()),
        });
        fixture.try_rows(caller, &operation, rows.into()).await;
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

async fn other_content_types_are_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let before = fixture.everything().await;
    let wrong = [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "application/json5",
        "application/octet-stream",
        "application",
        "json",
        "*/*",
        "",
    ];
    for (caller, operation) in operations(&fixture) {
        for content_type in wrong {
            let request = caller
                .request(operation.method.clone(), &operation.path)
                .header("content-type", content_type)
                .body(operation.valid.to_string());
            let label = format!("{} as {content_type:?}", operation.path);
            let expected = ExpectedProblem::status(415, "unsupported_media_type");
            fixture.expect_refusal(&label, &caller, request, &expected).await;
        }
    }
    assert_eq!(fixture.everything().await, before);
    for content_type in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/merge-patch+json",
    ] {
        let create = create_app();
        let request = fixture
            .admin
            .request(Method::POST, &create.path)
            .header("content-type", content_type);
        let mut body = create.valid.clone();
        body["package_name"] = json!(format!("com.{}", content_type.len()));
        body["old_package_names"] = json!([]);
        fixture
            .admin
            .send(request.body(body.to_string()))
            .await
            .expect(201);
    }
    fixture.finish();
}

on_both_databases!(
    what_is_no_json_object_is_refused,
    texts_that_are_no_utf8_are_refused,
    an_empty_body_names_what_is_required,
    other_content_types_are_refused,
);
