//! Pins.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{APP, Fixture, OLD_NAME, RESOURCE, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn put_pin(target: &Value, target_field: Field) -> Operation {
    let mut valid = json!({
        "package_name": APP,
        "identifier": RESOURCE,
        "mode": "ceiling",
        "version_code": 7,
        "reason": "stock-taking",
        "expires_at": "2026-04-01T00:00:00Z",
    });
    for (name, value) in target.as_object().unwrap() {
        valid[name] = value.clone();
    }
    Operation::new(
        Method::PUT,
        tenant("/pins"),
        valid,
        vec![
            Field::required("package_name", Kind::Identifier),
            Field::required("identifier", Kind::Identifier),
            target_field,
            Field::required("mode", Kind::OneOf(&["hold", "exact", "ceiling"])),
            Field::required("version_code", Kind::Integer { min: 1 }),
            Field::required("reason", Kind::Lines { min: 1, max: 500 }),
            Field::optional("expires_at", Kind::Instant),
        ],
    )
}

pub(super) fn pin_of_device() -> Operation {
    let device = Field::required("device_id", Kind::Line { max: 128 });
    put_pin(&json!({"device_id": "PDA001"}), device)
}

fn pin_of_node() -> Operation {
    // Without any target, the refusal names the device.
    let node = Field::optional("org_path", Kind::OrgPath);
    put_pin(&json!({"org_path": ["HM", "HM-SH", "8007"]}), node)
}

async fn pins_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    for put in [pin_of_device(), pin_of_node()] {
        fixture.try_rows(&admin, &put, put.rows()).await;
    }
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &pin_of_device(), 200).await;
    fixture.try_operation(&admin, &pin_of_node(), 200).await;
    fixture.finish();
}

async fn a_pin_names_one_target_and_what_there_is(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let put = pin_of_device();
    let row = |changes: Value, field: &str| put.row(&changes, ExpectedProblem::field(field));
    let rows = vec![
        row(json!({"org_path": ["HM"]}), "org_path"),
        row(json!({"device_id": null}), "device_id"),
        row(json!({"mode": "hold"}), "version_code"),
        row(json!({"mode": "hold", "version_code": 0}), "version_code"),
        row(json!({"mode": "exact", "version_code": null}), "version_code"),
        row(json!({"mode": "ceiling", "version_code": null}), "version_code"),
        row(json!({"mode": "exact", "version_code": 7}), "version_code"),
        row(json!({"mode": "exact", "version_code": i64::MAX}), "version_code"),
        row(json!({"mode": "pin"}), "mode"),
        row(json!({"mode": "pin", "version_code": null}), "mode"),
        row(json!({"identifier": "com.hema.wms.nothing"}), "identifier"),
        row(json!({"identifier": APP}), "identifier"),
        row(json!({"package_name": "com.hema.nothing"}), "package_name"),
        row(json!({"package_name": OLD_NAME}), "package_name"),
        put.row(&json!({"device_id": "", "org_path": []}), ExpectedProblem::fields(["device_id", "org_path"])),
        put.row(
            &json!({"package_name": "", "identifier": "a b", "device_id": null, "mode": "", "version_code": -1,
                "reason": " ", "expires_at": "soon"}),
            ExpectedProblem::fields(["package_name", "identifier", "device_id", "mode", "version_code", "reason", "expires_at"]),
        ),
    ];
    fixture.try_rows(&admin, &put, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// A discarded draft cannot be the target of a pin.
async fn an_exact_pin_to_a_discarded_release_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let discard = super::fixture::app_path(&format!("/releases/{}/discard", fixture.draft));
    admin.post(&discard, &json!({})).await.expect(200);
    let put = pin_of_device();
    let row = put.row(
        &json!({"mode": "exact", "version_code": 241}),
        ExpectedProblem::field("version_code"),
    );
    fixture.try_rows(&admin, &put, vec![row]).await;
    fixture.finish();
}

on_both_databases!(
    pins_refuse_bad_input,
    a_pin_names_one_target_and_what_there_is,
    an_exact_pin_to_a_discarded_release_is_refused,
);
