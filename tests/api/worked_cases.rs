//! The worked cases of the rules, over HTTP: set up with the admin API, checked by devices, including refusals.

mod fixture;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use self::fixture::{Fixture, Tenant};
use super::dump::dump;
use super::harness::{Answer, CHECK, TestApp, as_texts, xml_to_json};
use crate::resolve::case::list;
use crate::resolve::worked_cases::{assert_expected, file, padded};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Fields that every offer has.
const TEXTS: [&str; 11] = [
    "config_json",
    "download_url",
    "qrcode",
    "update_desc",
    "version_name",
    "icon_url",
    "md5",
    "app_name",
    "package_name",
    "old_package_name",
    "identifier",
];
const INTEGERS: [&str; 3] = ["status", "size", "version_code"];

async fn the_worked_cases_are_answered_as_written(database: TestDatabase) {
    // The clock jumps from case to case, which must not make the catalog stale.
    let app = TestApp::start_with(database, |config| config.stale_after_s = u32::MAX).await;
    let fixture = Fixture::make(&app).await;
    let file = file();
    let (mut checks, mut refusals) = (0, 0);
    for case in list(&file["cases"]) {
        let name = case["name"].as_str().unwrap();
        let mut tenant = fixture.set_up(case).await;
        for check in list(&case["checks"]) {
            app.set_clock(check["now"].as_str().or(case["now"].as_str()).unwrap());
            for action in list(&check["do"]) {
                refusals += u32::from(act(&fixture, &mut tenant, action, name).await);
            }
            if check["request"].is_null() {
                continue;
            }
            let request = tenant.request(padded(check), &check["tenant"]);
            if check["face"] != "native" {
                assert_answered_by_the_gateway(&tenant, check, &request, &timestamp(check, case), name).await;
            }
            if check["face"] == "gateway" {
                continue;
            }
            let answer = tenant.device.post("/v1/check", &request).await;
            let context = format!("{name}: {request}");
            assert_expected(
                &check["expect"],
                &in_the_cases_form(&answer, check, &context),
                &context,
            );
            checks += 1;
        }
    }
    assert!(checks > 200, "only {checks} checks were made");
    assert!(refusals > 10, "only {refusals} actions were refused");
}

on_both_databases!(the_worked_cases_are_answered_as_written);

/// Makes the same check with an SDK, in JSON and in XML.
async fn assert_answered_by_the_gateway(
    tenant: &Tenant,
    check: &Value,
    request: &Value,
    timestamp: &str,
    case: &str,
) {
    let texts = as_texts(request);
    let texts: Vec<_> = texts
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let call = tenant.client.call(CHECK, timestamp, &texts);
    let context = format!("{case} by the gateway: {request}");
    let json = tenant.client.send(&call).await;
    assert_expected(
        &check["expect"],
        &in_the_cases_form_by_the_gateway(&json.body),
        &context,
    );
    let xml = tenant.client.send(&call.with("format", "xml")).await;
    let read = with_types(xml_to_json(&xml.text));
    assert_expected(
        &check["expect"],
        &in_the_cases_form_by_the_gateway(&read),
        &context,
    );
}

/// Returns the instant of a check in the gateway's wall clock, UTC+8.
fn timestamp(check: &Value, case: &Value) -> String {
    let now: DateTime<Utc> = check["now"]
        .as_str()
        .or(case["now"].as_str())
        .unwrap()
        .parse()
        .unwrap();
    (now + TimeDelta::hours(8))
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Converts texts to types. XML has only texts; the page says which members are numbers and booleans.
fn with_types(mut read: Value) -> Value {
    if let Some(code) = read.pointer_mut("/error_response/code") {
        *code = json!(code.as_str().unwrap().parse::<i64>().unwrap());
    }
    let offers = read.pointer_mut("/wdk_rexout_resource_list_check_response/data/d_t_o");
    for offer in offers.and_then(Value::as_array_mut).into_iter().flatten() {
        for name in ["status", "size", "version_code", "uninstall_type", "auto_install"] {
            if let Some(text) = offer[name].as_str() {
                offer[name] = serde_json::from_str(text).unwrap();
            }
        }
    }
    read
}

fn in_the_cases_form_by_the_gateway(body: &Value) -> Value {
    let error = &body["error_response"];
    match error["code"].as_i64() {
        Some(11) => json!({"error": "permission"}),
        Some(40 | 41) => {
            let named = error["sub_code"].as_str().unwrap().split(':').nth(1).unwrap();
            json!({"error": "invalid_parameter", "field": named})
        }
        Some(_) => panic!("{body}"),
        None => {
            let response = &body["wdk_rexout_resource_list_check_response"];
            assert_eq!(response["succeed"], "true", "{body}");
            let offers = response["data"]["d_t_o"].as_array().cloned().unwrap_or_default();
            json!({"offers": offers, "msg_code": response["msg_code"].as_str().unwrap_or_default()})
        }
    }
}

/// Performs an administrator's action before a check. Returns true if it had to be refused, in which case nothing may
/// have changed.
async fn act(fixture: &Fixture<'_>, tenant: &mut Tenant, action: &Value, case: &str) -> bool {
    let context = format!("{case}: {action}");
    if action["expect"] != "refused" {
        let answer = fixture.act(tenant, action).await;
        assert!((200..300).contains(&answer.status), "{context}: {}", answer.text);
        return false;
    }
    let before = dump(&tenant.admin, tenant.number).await;
    let answer = fixture.act(tenant, action).await;
    assert!((400..500).contains(&answer.status), "{context}: {}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{context}"
    );
    assert_eq!(answer.body["status"], answer.status, "{context}");
    assert_eq!(dump(&tenant.admin, tenant.number).await, before, "{context}");
    true
}

/// Converts an answer to the form of the cases' `expect`.
fn in_the_cases_form(answer: &Answer, check: &Value, context: &str) -> Value {
    let body = &answer.body;
    match (answer.status, body["code"].as_str()) {
        (200, None) => {
            assert_eq!(body["succeed"], true, "{context}");
            assert!(body["msg_info"].is_string(), "{context}");
            assert!(
                body["next_check_after_s"]
                    .as_u64()
                    .is_some_and(|seconds| seconds > 0),
                "{context}"
            );
            assert!(!answer.header("slipway-revision").is_empty(), "{context}");
            assert_eq!(answer.header("slipway-stale"), "", "{context}");
            let mut offers = body["data"].clone();
            for offer in offers.as_array_mut().unwrap() {
                // The only member that the specification does not have.
                let sha256 = offer.as_object_mut().unwrap().shift_remove("sha256");
                assert!(sha256.is_some_and(|sha256| sha256.is_string()), "{context}");
                assert_complete(offer, context);
            }
            json!({"offers": offers, "msg_code": body["msg_code"]})
        }
        (400, Some("invalid_parameter")) => {
            let errors = list(&body["errors"]);
            let named = errors.iter().map(|error| &error["field"]);
            let expected = &check["expect"]["field"];
            let field = named
                .clone()
                .find(|field| *field == expected)
                .or(named.clone().next());
            json!({"error": "invalid_parameter", "field": field})
        }
        (403, Some("permission_denied")) => json!({"error": "permission"}),
        _ => panic!("{context}: {} {}", answer.status, answer.text),
    }
}

/// Checks that an offer has every field of the seed's table with its type, `uninstall_type` for a rollback, and nothing
/// else.
fn assert_complete(offer: &Value, context: &str) {
    for field in TEXTS {
        assert!(offer[field].is_string(), "{context}: {field} of {offer}");
    }
    for field in INTEGERS {
        assert!(offer[field].is_u64(), "{context}: {field} of {offer}");
    }
    assert!(offer["auto_install"].is_boolean(), "{context}: {offer}");
    let uninstall_type = offer.get("uninstall_type");
    assert!(uninstall_type.is_none_or(|kind| *kind == 1), "{context}: {offer}");
    let fields = TEXTS.len() + INTEGERS.len() + 1 + usize::from(uninstall_type.is_some());
    assert_eq!(offer.as_object().unwrap().len(), fields, "{context}: {offer}");
    let config: Value = serde_json::from_str(offer["config_json"].as_str().unwrap()).unwrap();
    assert!(config.is_object(), "{context}: {offer}");
}
