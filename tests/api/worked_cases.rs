//! The worked cases of the rules, over HTTP: set up by the admin API, asked by devices, refusals included.

mod stage;

use serde_json::{Value, json};

use self::stage::{Stage, Tenant};
use super::dump::dump;
use super::harness::{Answer, TestApp};
use crate::resolve::case::list;
use crate::resolve::worked_cases::{assert_expected, file, padded};
use crate::support::database::{TestDatabase, on_both_databases};

/// Every field of an offer that is always there.
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
    // The clock leaps from case to case, which is no reason to take the catalog for an old one.
    let app = TestApp::start_with(database, |config| config.stale_after_s = u32::MAX).await;
    let stage = Stage::make(&app).await;
    let file = file();
    let (mut checks, mut refusals) = (0, 0);
    for case in list(&file["cases"]) {
        let name = case["name"].as_str().unwrap();
        let mut tenant = stage.set_up(case).await;
        for check in list(&case["checks"]) {
            app.set_clock(check["now"].as_str().or(case["now"].as_str()).unwrap());
            for action in list(&check["do"]) {
                refusals += u32::from(act(&stage, &mut tenant, action, name).await);
            }
            if check["request"].is_null() || check["face"] == "gateway" {
                continue;
            }
            let request = tenant.request(padded(check), &check["tenant"]);
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

/// Does what an administrator does before a check. Tells whether it was to be refused, in which case nothing may have
/// changed.
async fn act(stage: &Stage<'_>, tenant: &mut Tenant, action: &Value, case: &str) -> bool {
    let context = format!("{case}: {action}");
    if action["expect"] != "refused" {
        let answer = stage.act(tenant, action).await;
        assert!((200..300).contains(&answer.status), "{context}: {}", answer.text);
        return false;
    }
    let before = dump(&tenant.admin, tenant.number).await;
    let answer = stage.act(tenant, action).await;
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

/// An answer in the form of the cases' `expect`.
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
            for offer in list(&body["data"]) {
                assert_complete(offer, context);
            }
            json!({"offers": body["data"], "msg_code": body["msg_code"]})
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

/// An offer has every field of the seed's table with its type, `uninstall_type` for a rollback, and nothing else.
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
