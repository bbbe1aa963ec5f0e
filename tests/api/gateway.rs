//! The gateway: errors in their order and form, the shapes of requests, rotation, and what a signature may not become.

use serde_json::{Value, json};

use super::harness::{
    CHECK, Caller, TENANT, TestApp, TopCall, TopClient, app_fields, release_fields, xml_to_json,
};
use crate::support::database::{TestDatabase, on_both_databases};

/// The tests' usual instant in the gateway's wall clock.
const TIMESTAMP: &str = "2026-03-02 10:00:00";
const NO_OFFER: [(&str, &str); 4] = [
    ("package_name", "com.hema.wms"),
    ("version_code", "50"),
    ("device_id", "PDA001"),
    ("tenant_id", "10000000"),
];

struct Stage {
    app: TestApp,
    admin: Caller,
    client: TopClient,
}

async fn stage(database: TestDatabase) -> Stage {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let mut fields = release_fields("com.hema.wms.chuku", 240);
    fields["publish"] = json!(true);
    admin
        .post(&format!("{apps}/com.hema.wms/releases"), &fields)
        .await
        .expect(201);
    let client = app.top_client(&admin, TENANT, "device").await;
    Stage { app, admin, client }
}

/// An error without its request id, and that id.
fn error_of(body: &Value) -> (Value, String) {
    let mut error = body["error_response"].clone();
    let id = error["request_id"].as_str().unwrap().to_owned();
    error.as_object_mut().unwrap().remove("request_id");
    (error, id)
}

/// A call for each row of the table, with the row's code, message and sub code.
fn error_rows(client: &TopClient) -> Vec<(TopCall, i64, &'static str, Option<&'static str>)> {
    let call = || client.call(CHECK, TIMESTAMP, &NO_OFFER);
    vec![
        (call().with("format", "yaml"), 23, "Invalid format", None),
        (call().without("method"), 21, "Missing method", None),
        (call().with("app_key", " "), 28, "Missing app key", None),
        (call().without("v"), 32, "Missing version", None),
        (call().without("timestamp"), 30, "Missing timestamp", None),
        (call().with("sign", ""), 24, "Missing signature", None),
        (
            call().with("app_key", "1"),
            29,
            "Invalid app Key",
            Some("isv.appkey-not-exists"),
        ),
        (call().with("v", "two"), 33, "Invalid version", None),
        (call().with("v", "3.0"), 34, "Unsupported version", None),
        (
            call().with("timestamp", "2026-03-02 10:10:01"),
            31,
            "Invalid timestamp",
            None,
        ),
        (
            call().with("timestamp", "yesterday"),
            31,
            "Invalid timestamp",
            None,
        ),
        (
            call().with("sign", &"0".repeat(64)),
            25,
            "Invalid signature",
            None,
        ),
        (
            call().with("sign_method", "sha256"),
            25,
            "Invalid signature",
            None,
        ),
        (
            call().with("method", "no.such.method"),
            22,
            "Invalid method",
            None,
        ),
        (
            call().without("device_id"),
            40,
            "Missing required arguments:device_id",
            Some("isv.missing-parameter:device_id"),
        ),
        (
            call().with("version_code", "1.5"),
            41,
            "Invalid arguments:version_code",
            Some("isv.invalid-parameter:version_code"),
        ),
        (
            call().with("org_info", "{"),
            41,
            "Invalid arguments:org_info",
            Some("isv.invalid-parameter:org_info"),
        ),
        (
            call().with("tenant_id", "77"),
            11,
            "Insufficient isv permissions",
            Some("isv.permission-api-package-limit"),
        ),
    ]
}

async fn every_row_of_the_error_table_is_answered(database: TestDatabase) {
    let stage = stage(database).await;
    for (call, code, message, sub_code) in error_rows(&stage.client) {
        let answer = stage.client.send(&call).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        if code != 23 {
            assert_eq!(answer.header("content-type"), "application/json;charset=UTF-8");
            let (error, id) = error_of(&answer.body);
            assert_eq!(
                (&error["code"], &error["msg"]),
                (&json!(code), &json!(message)),
                "{}",
                answer.text
            );
            assert_eq!(error["sub_code"].as_str(), sub_code, "{}", answer.text);
            assert!(
                id.len() == 13 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()),
                "{id}"
            );
            assert_eq!(answer.body.as_object().unwrap().len(), 1);
        }
        let xml = stage
            .client
            .send(&if code == 23 {
                call
            } else {
                call.with("format", "xml")
            })
            .await;
        assert_eq!(xml.header("content-type"), "text/xml;charset=UTF-8");
        let start = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><error_response><code>{code}</code><msg>{message}</msg>"
        );
        assert!(xml.text.starts_with(&start), "{}", xml.text);
    }
}

async fn a_check_is_answered_in_every_form(database: TestDatabase) {
    let stage = stage(database).await;
    let call = stage.client.call(CHECK, TIMESTAMP, &NO_OFFER);
    let root = "wdk_rexout_resource_list_check_response";
    let answer = stage.client.send(&call).await;
    let response = &answer.body[root];
    assert_eq!(response["succeed"], "true", "{}", answer.text);
    let offer = &response["data"]["d_t_o"][0];
    assert_eq!(offer["version_code"], 240);
    assert_eq!(offer.as_object().unwrap().len(), 15);
    assert!(!answer.header("slipway-revision").is_empty());
    assert_eq!(answer.header("content-encoding"), "");

    for name in ["md5", "hmac", "hmac-sha256"] {
        let answer = stage.client.get(&call.clone().with("sign_method", name)).await;
        assert_eq!(
            answer.body[root]["data"]["d_t_o"][0]["version_code"], 240,
            "{}",
            answer.text
        );
    }
    let simplified = stage.client.send(&call.clone().with("simplify", "true")).await;
    assert_eq!(
        simplified.body["data"][0]["version_code"], 240,
        "{}",
        simplified.text
    );
    assert!(simplified.body["request_id"].is_string());
    let ordinary = stage.client.send(&call.clone().with("simplify", "1")).await;
    assert!(ordinary.body[root].is_object(), "{}", ordinary.text);

    let xml = stage.client.send(&call.clone().without("format")).await;
    let read = xml_to_json(&xml.text);
    assert_eq!(
        read[root]["data"]["d_t_o"][0]["version_code"], "240",
        "{}",
        xml.text
    );

    let installed = call.clone().with("old_versions", r#"{"com.hema.wms.chuku":240}"#);
    assert_eq!(stage.client.send(&installed).await.body[root]["data"], json!({}));
    let simplified = stage.client.send(&installed.with("simplify", "true")).await;
    assert_eq!(simplified.body["data"], json!([]));

    let unknown = stage
        .client
        .send(&call.clone().with("package_name", "com.none"))
        .await
        .body;
    assert_eq!(unknown[root]["msg_code"], "APP_UNKNOWN");
    assert_eq!(unknown[root]["msg_info"], "tenant 10000000 has no app com.none");

    let ambiguous = call.with("device_id", "1device_type2");
    let (error, _) = error_of(&stage.client.send(&ambiguous).await.body);
    assert_eq!(
        (&error["code"], &error["msg"]),
        (&json!(41), &json!("Invalid arguments:device_id"))
    );
}

async fn both_secrets_are_good_after_a_rotation(database: TestDatabase) {
    let Stage {
        app: _app,
        admin,
        client,
    } = stage(database).await;
    let keys = format!("/api/v1/tenants/{TENANT}/app-keys");
    let id = admin.get(&keys).await.expect(200)["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rotate = async || {
        let rotated = admin
            .post(&format!("{keys}/{id}/rotate"), &json!({}))
            .await
            .expect(200);
        TopClient {
            secret: rotated["app_secret"].as_str().unwrap().to_owned(),
            ..client.clone()
        }
    };
    let works = async |client: &TopClient| {
        let answer = client.send(&client.call(CHECK, TIMESTAMP, &NO_OFFER)).await;
        answer.body["error_response"].is_null()
    };
    let second = rotate().await;
    assert!(works(&client).await && works(&second).await);
    let third = rotate().await;
    assert!(!works(&client).await && works(&second).await && works(&third).await);
    admin.delete(&format!("{keys}/{id}")).await.expect(204);
    assert!(!works(&third).await);
}

on_both_databases!(
    every_row_of_the_error_table_is_answered,
    a_check_is_answered_in_every_form,
    both_secrets_are_good_after_a_rotation,
);
