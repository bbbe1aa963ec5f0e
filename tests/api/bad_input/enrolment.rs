//! Enrolments of devices.

use reqwest::Method;
use serde_json::json;

use super::check_wrong::wrong_fields;
use super::fixture::{Fixture, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn enrol() -> Operation {
    let line = || Kind::Line { max: 128 };
    Operation::new(
        Method::POST,
        "/v1/devices",
        json!({"device_id": "PDA001", "project_id": "stores", "device_type": "10013", "org_info": {"l1Code": "HM"},
            "attributes": {"abi": "arm64-v8a"}, "enrolment_code": ""}),
        vec![
            Field::required("device_id", line()),
            Field::required("project_id", line()),
            Field::optional("device_type", Kind::AnyText),
            Field::optional("enrolment_code", Kind::AnyText),
        ],
    )
}

async fn an_enrolment_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let device = fixture.device.clone();
    let enrol = enrol();
    let mut rows = enrol.rows();
    for text in ["x".repeat(129), "a\0b".to_owned(), "a\u{7}".to_owned()] {
        rows.push(enrol.row(
            &json!({"device_type": text}),
            ExpectedProblem::field("device_type"),
        ));
    }
    for text in ["x", "slipway_code_", "000000-000000-000000-00000U", "店"] {
        rows.push(enrol.row(
            &json!({"enrolment_code": text}),
            ExpectedProblem::field("enrolment_code"),
        ));
    }
    let documents = wrong_fields()
        .into_iter()
        .filter(|(field, json)| matches!(*field, "org_info" | "attributes") && json != r#""\ud800""#);
    for (field, json) in documents {
        rows.push(enrol.row_with(field, &json, ExpectedProblem::field(field)));
    }
    let all = json!({"device_id": 5, "project_id": ""});
    rows.push(enrol.row(&all, ExpectedProblem::field("device_id")));
    let several =
        json!({"device_id": "", "project_id": "", "org_info": 5, "attributes": [1], "enrolment_code": "x"});
    let named = [
        "device_id",
        "project_id",
        "org_info",
        "attributes",
        "enrolment_code",
    ];
    rows.push(enrol.row(&several, ExpectedProblem::fields(named)));
    fixture.try_rows(&device, &enrol, rows).await;
    let listed = fixture.admin.get(&tenant("/devices")).await.expect(200);
    assert_eq!(listed["items"], json!([]));
    fixture.try_operation(&device, &enrol, 201).await;
    fixture.finish();
}

on_both_databases!(an_enrolment_refuses_bad_input);
