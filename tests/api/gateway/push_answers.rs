//! Pushes over the gateway: accepted requests, in-band errors, and stored pushes.

use serde_json::{Value, json};

use super::fixture::{ALIPAY_CONTEXT, TIMESTAMP, fixture, push_call, push_req};
use crate::api::harness::{CHECK, PUSH, TENANT, every_item, percent};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ROOT: &str = "yunos_miniapp_offlinepkg_push_response";

async fn a_push_is_answered_in_every_form(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let call = push_call(&operator, &push_req(&["A"], json!({})));
    let result = r#""result":{"result":true,"success":true,"result_code":"200","result_msg":"请求成功"}"#;
    let json = operator.send(&call).await;
    let id = json.body[ROOT]["request_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", json.text));
    assert_eq!(
        json.text,
        format!(r#"{{"{ROOT}":{{{result},"request_id":"{id}"}}}}"#)
    );
    assert_eq!(json.header("content-type"), "application/json;charset=UTF-8");

    let simplified = operator.send(&call.clone().with("simplify", "true")).await;
    let id = simplified.body["request_id"].as_str().unwrap();
    assert_eq!(simplified.text, format!(r#"{{{result},"request_id":"{id}"}}"#));

    let xml = operator.send(&call.without("format")).await;
    let id = xml
        .text
        .split("<request_id>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    assert_eq!(
        xml.text,
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?><{ROOT}><result><result>true</result>\
             <success>true</success><result_code>200</result_code><result_msg>请求成功</result_msg></result>\
             <request_id>{id}</request_id></{ROOT}>"
        )
    );
    // Different signatures and no trace id: three pushes.
    assert_eq!(fixture.pushes().await.len(), 3);
}

async fn what_was_pushed_is_stored_with_who_sent_it(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A", "店-1"]).await;
    let req = push_req(
        &["店-1", "A", "A"],
        json!({"trace_id": "t", "source_url": "http://", "unknown": 1}),
    );
    let call = push_call(&operator, &req)
        .with("session", "a session")
        .with("partner_id", "top-sdk-java");
    let answer = operator.send(&call.with("target_app_key", "1")).await;
    assert_eq!(answer.body[ROOT]["result"]["success"], true, "{}", answer.text);
    let push = fixture.pushes().await.remove(0);
    let path = format!("/api/v1/tenants/{TENANT}/pushes/{}", push["id"].as_str().unwrap());
    let push = fixture.admin.get(&path).await.expect(200);
    assert_eq!(push["alipay_context"], ALIPAY_CONTEXT);
    assert_eq!(
        (&push["trace_id"], &push["source_url"]),
        (&json!("t"), &json!("http://"))
    );
    let ids: Vec<_> = push["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| &target["device_id"])
        .collect();
    assert_eq!(ids, ["A", "店-1"]);
    assert!(push["origin"].as_str().unwrap().starts_with("app_key:"));
    let audit = every_item(
        &fixture.admin,
        &format!("/api/v1/tenants/{TENANT}/audit?limit=200"),
    )
    .await;
    let event = &audit[0];
    assert_eq!(
        (&event["action"], &event["object_id"]),
        (&json!("push.create"), &push["id"])
    );
    assert!(event.to_string().contains(&operator.app_key), "{event}");
}

async fn unknown_devices_and_refused_schemes_are_told_in_band(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A", "B"]).await;
    let result = async |req: String| {
        let answer = operator.send(&push_call(&operator, &req)).await;
        let result = answer.body[ROOT]["result"].clone();
        assert_eq!(result["result"], result["success"], "{}", answer.text);
        (
            result["success"].as_bool(),
            result["result_code"].as_str().unwrap_or(&answer.text).to_owned(),
            result["result_msg"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (success, code, message) = result(push_req(&["C", "A", "X", "C"], json!({}))).await;
    assert_eq!((success, code.as_str()), (Some(false), "404"));
    assert_eq!(message, "not known in their projects: C, X");
    let elsewhere = json!({"target_info": [{"hardware_id": "B", "project_id": "stores"},
        {"hardware_id": "B", "project_id": "kiosks"}]});
    let (_, code, message) = result(push_req(&[], elsewhere)).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("404", "not known in their projects: B")
    );
    for url in ["javascript:x", " https://a", "DATA:,x", "a.amr", "File:///x"] {
        let info = json!({"app_id": "1", "app_type": "t", "pack_url": url});
        let (success, code, message) = result(push_req(&["A"], json!({"package_push_info": info}))).await;
        assert_eq!((success, code.as_str()), (Some(false), "400"), "{url}");
        assert!(message.contains("package_push_info.pack_url"), "{message}");
    }
    let (_, code, message) = result(push_req(&["A"], json!({"source_url": "data:,"}))).await;
    assert_eq!(code, "400");
    assert!(message.contains("source_url"), "{message}");
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}

/// Devices of another tenant or another project are answered like nonexistent ones.
async fn a_key_pushes_to_its_own_tenants_devices_alone(database: TestDatabase) {
    const OTHER: i64 = 20_000_000;
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let admin = fixture.app.tenant_admin(OTHER).await;
    let devices = json!({"devices": [{"device_id": "theirs", "project_id": "stores"}]});
    admin
        .post(&format!("/api/v1/tenants/{OTHER}/devices"), &devices)
        .await
        .expect(200);
    let message = async |id: &str| {
        let answer = operator
            .send(&push_call(&operator, &push_req(&[id], json!({}))))
            .await;
        let result = &answer.body[ROOT]["result"];
        assert_eq!(result["result_code"], "404", "{}", answer.text);
        result["result_msg"].as_str().unwrap().replace(id, "ID")
    };
    assert_eq!(message("theirs").await, message("nobodys").await);
    let theirs = fixture.app.top_client(&admin, OTHER, "operator").await;
    let answer = theirs
        .send(&push_call(&theirs, &push_req(&["theirs"], json!({}))))
        .await;
    assert_eq!(answer.body[ROOT]["result"]["success"], true);
    assert_eq!(fixture.pushes().await, [Value::Null; 0]);
}

async fn pushes_are_calls_of_batches_too(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A", "B"]).await;
    let push = |id: &str, other: Value| {
        let (context, req) = (percent(ALIPAY_CONTEXT), percent(&push_req(&[id], other)));
        format!("method={PUSH}&alipay_context={context}&req={req}")
    };
    let check =
        format!("method={CHECK}&package_name=com.hema.wms&version_code=50&device_id=A&tenant_id={TENANT}");
    let pieces = [
        push("A", json!({})),
        check,
        push("B", json!({"trace_id": "t"})),
        push("X", json!({})),
        push("A", json!({})) + "&device_id=1",
        push("A", json!({"action": 5})),
        push("A", json!({})) + "&session=x&app_key=1&format=xml",
    ];
    let query = operator.call("", TIMESTAMP, &[]).without("method");
    let answer = operator
        .send_batch(&query, &pieces.join("\r\n-S-\r\n"), None)
        .await;
    let outcomes: Vec<_> = answer
        .text
        .split("\r\n-S-\r\n")
        .map(|text| {
            let answer: Value = serde_json::from_str(text).unwrap();
            let code = &answer[ROOT]["result"]["result_code"];
            let error = &answer["error_response"]["sub_code"];
            code.as_str().or(error.as_str()).unwrap_or("").to_owned()
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            "200",
            "",
            "200",
            "404",
            "isv.invalid-parameter:device_id",
            "isv.invalid-parameter:req.action",
            "200"
        ]
    );
    // The last request repeats the first, with the same signature.
    assert_eq!(fixture.pushes().await.len(), 2);
}

on_both_databases!(
    a_push_is_answered_in_every_form,
    what_was_pushed_is_stored_with_who_sent_it,
    unknown_devices_and_refused_schemes_are_told_in_band,
    a_key_pushes_to_its_own_tenants_devices_alone,
    pushes_are_calls_of_batches_too,
);
