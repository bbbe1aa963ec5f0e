//! The check and its explanation.

use reqwest::Method;
use serde_json::{Value, json};

use super::check_wrong::{WrongField, wrong_fields};
use super::fixture::{APP, Fixture, app_path};
use super::kind::{Kind, nested};
use super::table::{ExpectedProblem, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn valid() -> Value {
    json!({
        "package_name": APP,
        "version_code": 50,
        "device_id": "PDA001",
        "device_type": "10013",
        "old_versions": {"com.hema.wms.chuku": 230},
        "org_info": {"l1Code": "HM"},
        "attributes": {"webview": "8.1"},
        "tenant_id": 10_000_000,
    })
}

fn check() -> Operation {
    Operation::new(Method::POST, "/v1/check", valid(), Vec::new())
}

fn explain() -> Operation {
    let at = Field::optional("at", Kind::Instant);
    let mut valid = valid();
    valid["at"] = json!("2026-03-02T02:00:00Z");
    Operation::new(Method::POST, app_path("/explain"), valid, vec![at])
}

/// Builds a row for each wrong field alone, and rows with several wrong fields, all of which must be named.
fn rows(operation: &Operation, wrong: &[WrongField]) -> Vec<super::table::Row> {
    let mut rows: Vec<_> = wrong
        .iter()
        .map(|(field, json)| operation.row_with(field, json, ExpectedProblem::field(*field)))
        .collect();
    let required = ["version_code", "device_id"];
    for field in required {
        rows.push(operation.row_with(field, "null", ExpectedProblem::field(field)));
        rows.push(operation.row(&json!({field: null}), ExpectedProblem::field(field)));
    }
    let all = json!({"package_name": 5, "version_code": -1, "device_id": "", "device_type": 5, "old_versions": 5,
        "org_info": 5, "attributes": 5, "tenant_id": 0});
    let names: Vec<_> = all.as_object().unwrap().keys().cloned().collect();
    rows.push(operation.row(&all, ExpectedProblem::fields(names)));
    rows
}

async fn every_field_of_a_check_is_refused_in_every_wrong_way(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let device = fixture.device.clone();
    let before = fixture.everything().await;
    let check = check();
    let mut rows = rows(&check, &wrong_fields());
    for changes in [
        json!({"package_name": null}),
        json!({"package_name": null, "tenant_id": null}),
    ] {
        rows.push(check.row(&changes, ExpectedProblem::field("package_name")));
    }
    rows.push(check.row_with("package_name", "null", ExpectedProblem::field("package_name")));
    fixture.try_rows(&device, &check, rows).await;
    assert_eq!(fixture.everything().await, before);
    device.post("/v1/check", &check.valid).await.expect(200);
    fixture.finish();
}

async fn every_field_of_an_explanation_is_refused_in_every_wrong_way(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let mut wrong = wrong_fields();
    // The path names the app here, so a blank name in the body is an error but an absent one is not.
    wrong.push(("package_name", json!("com.hema.old").to_string()));
    wrong.push(("package_name", json!("com.hema.nothing").to_string()));
    wrong.push(("tenant_id", "10000001".to_owned()));
    wrong.push(("tenant_id", json!("10000001").to_string()));
    let explain = explain();
    fixture.try_rows(&admin, &explain, rows(&explain, &wrong)).await;
    fixture.try_operation(&admin, &explain, 200).await;
    let brief = json!({"version_code": 50, "device_id": "PDA001"});
    admin.post(&explain.path, &brief).await.expect(200);
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// Another tenant, an unknown tenant and an impossible id give the same answer.
async fn a_check_of_another_tenant_is_forbidden(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let device = fixture.device.clone();
    fixture.app.tenant_admin(20_000_000).await;
    let check = check();
    let forbidden = |tenant: Value| {
        check.row(
            &json!({"tenant_id": tenant}),
            ExpectedProblem::status(403, "permission_denied"),
        )
    };
    let rows = vec![
        forbidden(json!(20_000_000)),
        forbidden(json!("20000000")),
        forbidden(json!(1)),
        forbidden(json!(i64::MAX)),
    ];
    fixture.try_rows(&device, &check, rows).await;
    fixture.finish();
}

/// Unknown members of a check are ignored, whatever they contain. Known members must not repeat.
async fn a_check_ignores_unknown_members_and_refuses_repeated_ones(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let device = fixture.device.clone();
    let check = check();
    let plain = device.post("/v1/check", &check.valid).await.expect(200);
    let text = check.valid.to_string();
    let inside = text.strip_prefix('{').unwrap();
    for unknown in [
        "1",
        "null",
        "\"\"",
        "[1,{}]",
        "{\"package_name\":5}",
        "1e400",
        &nested(100),
    ] {
        for name in ["nonsense", "", "Package_Name", "packageName", "a b", "店"] {
            let body = format!("{{\"{name}\":{unknown},\"{name}\":{unknown},{inside}");
            let request = device.request(Method::POST, "/v1/check").body(body);
            assert_eq!(device.send(request).await.expect(200), plain, "{name} {unknown}");
        }
    }
    for (name, value) in check.valid.as_object().unwrap() {
        for again in [value.to_string(), "null".to_owned()] {
            let row = super::table::Row {
                label: format!("{name} twice, {again}"),
                body: format!("{{\"{name}\":{again},{inside}").into(),
                expected: ExpectedProblem::field(name),
            };
            fixture.try_rows(&device, &check, vec![row]).await;
        }
    }
    fixture.finish();
}

on_both_databases!(
    every_field_of_a_check_is_refused_in_every_wrong_way,
    every_field_of_an_explanation_is_refused_in_every_wrong_way,
    a_check_of_another_tenant_is_forbidden,
    a_check_ignores_unknown_members_and_refuses_repeated_ones,
);
