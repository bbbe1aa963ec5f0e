//! Numbers from callers keep their exact text through JSON.

use reqwest::Method;
use serde_json::json;

use super::harness::{
    Answer, CHECK, CHUKU, Caller, Merchant, PACKAGE, TENANT, TestApp, check_fields, in_app, in_tenant,
    path_of, release_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Numbers that a 64-bit float would change, and two members that `serde_json` would interpret as its own types.
const CONFIG: &str = r#"{"gain":0.9215686321258545,"big":18446744073709551617,"list":[1.50,1e5,-0.0,117.63331139400017],"n":{"$serde_json::private::Number":"1"},"r":{"$serde_json::private::RawValue":"[2]"}}"#;
const CHANGED: &str = r#"{"gain":0.92156863212585450}"#;

async fn a_config_is_answered_as_it_was_written(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let created = create(&merchant, CONFIG, "first").await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_has(&created, CONFIG);
    let repeated = create(&merchant, CONFIG, "first").await;
    assert_eq!(repeated.text, created.text);
    assert_eq!(repeated.header("idempotency-replayed"), "true");

    let admin = &merchant.admin;
    assert_has(&admin.get(&path_of(&created.body)).await, CONFIG);
    assert_has(&admin.get(&in_app("/releases")).await, CONFIG);
    let patched = send(
        admin,
        Method::PATCH,
        &path_of(&created.body),
        &format!(r#"{{"config_json": {CHANGED}}}"#),
    )
    .await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_has(&patched, CHANGED);
    let audit = admin.get(&in_tenant("/audit")).await;
    assert_has(&audit, CONFIG);
    assert_has(&audit, CHANGED);
}

async fn offers_have_the_config_as_it_was_written(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let created = create(&merchant, CONFIG, "first").await;
    merchant
        .take(&created.body, "publish", &json!({}))
        .await
        .expect(200);

    let quoted = serde_json::to_string(CONFIG).unwrap();
    let native = merchant.device.post("/v1/check", &check_fields()).await;
    assert!(native.text.contains(&quoted), "{}", native.text);
    let client = app.top_client(&merchant.admin, TENANT, "operator").await;
    let tenant = TENANT.to_string();
    for (format, expected) in [("json", &quoted), ("xml", &CONFIG.to_owned())] {
        let params = [
            ("format", format),
            ("package_name", PACKAGE),
            ("version_code", "50"),
            ("device_id", "A"),
            ("tenant_id", &tenant),
        ];
        let answer = client
            .send(&client.call(CHECK, "2026-03-02 10:00:00", &params))
            .await;
        assert!(answer.text.contains(expected.as_str()), "{}", answer.text);
    }
}

async fn rules_compare_numbers_as_they_were_written(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let rules = r#"[{"name":"gps","op":"eq","value":117.63331139400017},{"name":"no","op":"in","value":[1,18446744073709551617]}]"#;
    let fields = with(
        release_fields(CHUKU, 1),
        json!({"publish": true, "attribute_rules": "RULES"}),
    );
    let body = fields.to_string().replace("\"RULES\"", rules);
    let created = send(&merchant.admin, Method::POST, &in_app("/releases"), &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert!(created.text.contains(rules), "{}", created.text);
    for (attributes, is_offered) in [
        (r#"{"gps": 117.63331139400017, "no": 18446744073709551617}"#, true),
        (
            r#"{"gps": "117.63331139400017", "no": "18446744073709551617"}"#,
            true,
        ),
        (
            r#"{"gps": 117.63331139400016, "no": 18446744073709551617}"#,
            false,
        ),
        (
            r#"{"gps": 117.63331139400017, "no": 18446744073709551616}"#,
            false,
        ),
    ] {
        let check = with(check_fields(), json!({"attributes": "ATTRIBUTES"}));
        let body = check.to_string().replace("\"ATTRIBUTES\"", attributes);
        let answer = send(&merchant.device, Method::POST, "/v1/check", &body).await;
        assert_eq!(
            answer.body["data"].as_array().unwrap().len(),
            usize::from(is_offered),
            "{attributes}"
        );
        let explained = send(&merchant.admin, Method::POST, &in_app("/explain"), &body).await;
        assert_eq!(
            explained.body["resources"][0]["offer"],
            json!(is_offered.then_some(1)),
            "{attributes}"
        );
        let refused = ["117.63331139400016", "18446744073709551616"];
        let is_told = refused.iter().any(|number| explained.text.contains(number));
        assert_eq!(is_told, !is_offered, "{}", explained.text);
    }
}

async fn a_config_with_the_same_numbers_is_the_same(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    create(&merchant, CONFIG, "first").await.expect(201);
    let spaced = CONFIG
        .replace(':', " : ")
        .replace("$serde_json :  : private :  : ", "$serde_json::private::");
    let again = create(&merchant, &spaced, "second").await;
    assert_eq!(
        (again.status, &again.body["ignored"]),
        (200, &json!([])),
        "{}",
        again.text
    );
    let other = create(&merchant, &CONFIG.replace("1.50", "1.5"), "third").await;
    assert_eq!(
        (other.status, &other.body["ignored"]),
        (200, &json!(["config_json"])),
        "{}",
        other.text
    );
}

async fn create(merchant: &Merchant, config: &str, key: &str) -> Answer {
    let fields = with(release_fields(CHUKU, 1), json!({"config_json": "CONFIG"}));
    let request = merchant
        .admin
        .request(Method::POST, &in_app("/releases"))
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(fields.to_string().replace("\"CONFIG\"", config));
    merchant.admin.send(request).await
}

async fn send(caller: &Caller, method: Method, path: &str, body: &str) -> Answer {
    let request = caller.request(method, path);
    let request = request
        .header("content-type", "application/json")
        .body(body.to_owned());
    caller.send(request).await
}

#[track_caller]
fn assert_has(answer: &Answer, config: &str) {
    let member = format!("\"config_json\":{config}");
    assert!(answer.text.contains(&member), "{}", answer.text);
}

on_both_databases!(
    a_config_is_answered_as_it_was_written,
    offers_have_the_config_as_it_was_written,
    rules_compare_numbers_as_they_were_written,
    a_config_with_the_same_numbers_is_the_same,
);
