//! A check over the gateway, in every format of the answer.

use serde_json::json;

use super::fixture::{DEVICE_CHECK, TIMESTAMP, error_of, fixture};
use crate::api::harness::{CHECK, xml_to_json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_check_is_answered_in_every_form(database: TestDatabase) {
    let fixture = fixture(database).await;
    let call = fixture.client.call(CHECK, TIMESTAMP, &DEVICE_CHECK);
    let root = "wdk_rexout_resource_list_check_response";
    let answer = fixture.client.send(&call).await;
    let response = &answer.body[root];
    assert_eq!(response["succeed"], "true", "{}", answer.text);
    let offer = &response["data"]["d_t_o"][0];
    assert_eq!(offer["version_code"], 240);
    assert_eq!(offer.as_object().unwrap().len(), 15);
    assert!(!answer.header("slipway-revision").is_empty());
    assert_eq!(answer.header("content-encoding"), "");

    for name in ["md5", "hmac", "hmac-sha256"] {
        let answer = fixture.client.get(&call.clone().with("sign_method", name)).await;
        assert_eq!(
            answer.body[root]["data"]["d_t_o"][0]["version_code"], 240,
            "{}",
            answer.text
        );
    }
    let simplified = fixture.client.send(&call.clone().with("simplify", "true")).await;
    assert_eq!(
        simplified.body["data"][0]["version_code"], 240,
        "{}",
        simplified.text
    );
    assert!(simplified.body["request_id"].is_string());
    let ordinary = fixture.client.send(&call.clone().with("simplify", "1")).await;
    assert!(ordinary.body[root].is_object(), "{}", ordinary.text);

    let xml = fixture.client.send(&call.clone().without("format")).await;
    let read = xml_to_json(&xml.text);
    assert_eq!(
        read[root]["data"]["d_t_o"][0]["version_code"], "240",
        "{}",
        xml.text
    );

    let installed = call.clone().with("old_versions", r#"{"com.hema.wms.chuku":240}"#);
    assert_eq!(
        fixture.client.send(&installed).await.body[root]["data"],
        json!({})
    );
    let simplified = fixture.client.send(&installed.with("simplify", "true")).await;
    assert_eq!(simplified.body["data"], json!([]));

    let unknown = fixture
        .client
        .send(&call.clone().with("package_name", "com.none"))
        .await
        .body;
    assert_eq!(unknown[root]["msg_code"], "APP_UNKNOWN");
    assert_eq!(unknown[root]["msg_info"], "tenant 10000000 has no app com.none");

    let ambiguous = call.with("device_id", "1device_type2");
    let (error, _) = error_of(&fixture.client.send(&ambiguous).await.body);
    assert_eq!(
        (&error["code"], &error["msg"]),
        (&json!(41), &json!("Invalid arguments:device_id"))
    );
}

on_both_databases!(a_check_is_answered_in_every_form);
