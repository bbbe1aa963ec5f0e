//! Fields of a release, for creating and for changing one.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, RESOURCE, app_path};
use super::kind::Kind;
use super::release_life::OVERRIDES;
use super::table::{Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const UNITS: &[&str] = &["device", "l1", "l2", "l3", "l4", "l5"];

/// Returns a release with every field.
pub(super) fn whole_release() -> Value {
    json!({
        "identifier": RESOURCE,
        "version_code": 300,
        "version_name": "3.0.0",
        "download_url": "https://files.example/chuku/300.bin",
        "size": 1_000,
        "md5": "0CC175B9C0F1B6A831C399E269772661",
        "sha256": "a".repeat(64),
        "update_desc": "What is new:\n\tmuch",
        "auto_install": true,
        "mandatory": false,
        "floor": false,
        "qrcode": "https://files.example/qr",
        "icon_url": "https://files.example/icon.png",
        "config_json": {"beep": true},
        "org_scopes": [{"l1Code": "HM"}],
        "org_exclusions": [{"l1Code": "HM", "l3Code": "8007"}],
        "device_types": ["10013"],
        "host_version_min": 0,
        "host_version_max": 9_223_372_036_854_775_807_i64,
        "attribute_rules": [{"name": "webview", "op": "semver", "value": ">=8.0, <12"}],
        "device_ids": ["PDA001"],
        "rollout": {"percent": 12.5, "key": "wave", "unit": "device"},
        "starts_at": "2026-03-02T02:00:00Z",
        "ends_at": "2026-03-03T02:00:00+08:00",
    })
}

fn scope(index: usize) -> Value {
    json!({"l1Code": "HM", "l2Code": index.to_string()})
}

fn rule(index: usize) -> Value {
    json!({"name": format!("a{index}"), "op": "exists", "value": true})
}

fn code() -> Kind {
    Kind::Line { max: 128 }
}

/// Returns the fields that creating and changing a release share.
fn common_fields() -> Vec<Field> {
    let url = || Kind::Url { may_be_empty: true };
    let scopes = || Kind::list(Kind::Members, 1_000, scope);
    let texts = |max| Kind::list(Kind::Line { max: 128 }, max, |index| json!(format!("d{index}")));
    vec![
        Field::not_null("artifact", Kind::Hex(64)),
        Field::optional("sha256", Kind::Hex(64)),
        Field::not_null("update_desc", Kind::Lines { min: 0, max: 4_000 }),
        Field::not_null("auto_install", Kind::Bool),
        Field::not_null("mandatory", Kind::Bool),
        Field::not_null("floor", Kind::Bool),
        Field::optional("qrcode", url()),
        Field::optional("icon_url", url()),
        Field::not_null("config_json", Kind::AnyObject),
        Field::not_null("org_scopes", scopes()),
        Field::optional("org_scopes[0].l1Code", Kind::AnyText),
        Field::optional("org_scopes[0].l2Code", code()).values_at("org_scopes[0]"),
        Field::optional("org_scopes[0].l5Code", code()).values_at("org_scopes[0]"),
        Field::not_null("org_exclusions", scopes()),
        Field::optional("org_exclusions[0].l3Code", code()).values_at("org_exclusions[0]"),
        Field::not_null("device_types", texts(100)),
        Field::optional("host_version_min", Kind::Integer { min: 0 }),
        Field::optional("host_version_max", Kind::Integer { min: 0 }),
        Field::not_null("attribute_rules", Kind::list(Kind::Members, 50, rule)),
        Field::required("attribute_rules[0].name", code()).values_at("attribute_rules[0]"),
        Field::required("attribute_rules[0].op", Kind::OneOf(&["eq"])).values_at("attribute_rules[0]"),
        Field::not_null("device_ids", texts(10_000)),
        Field::not_null("rollout", Kind::Members),
        Field::not_null("rollout.percent", Kind::Percent),
        Field::optional("rollout.key", Kind::Line { max: 128 }),
        Field::not_null("rollout.unit", Kind::OneOf(UNITS)),
        Field::optional("starts_at", Kind::Instant),
        Field::optional("ends_at", Kind::Instant),
    ]
}

pub(super) fn create_release() -> Operation {
    let mut fields = vec![
        Field::required("identifier", Kind::Identifier),
        Field::not_null("publish", Kind::Bool),
        Field::required("version_code", Kind::Integer { min: 1 }),
        Field::required("version_name", Kind::Line { max: 64 }),
        Field::required("download_url", Kind::Url { may_be_empty: false }),
        Field::required("size", Kind::Integer { min: 0 }),
        Field::required("md5", Kind::Hex(32)),
    ];
    fields.extend(OVERRIDES.map(|name| Field::not_null(name, Kind::Bool)));
    fields.extend(common_fields());
    Operation::new(Method::POST, app_path("/releases"), whole_release(), fields)
}

pub(super) fn update_release(id: &str) -> Operation {
    let mut fields = vec![
        Field::not_null("version_code", Kind::Integer { min: 1 }),
        Field::not_null("version_name", Kind::Line { max: 64 }),
        Field::not_null("download_url", Kind::Url { may_be_empty: false }),
        Field::not_null("size", Kind::Integer { min: 0 }),
        Field::not_null("md5", Kind::Hex(32)),
    ];
    fields.extend(common_fields());
    let mut valid = whole_release();
    valid.as_object_mut().unwrap().shift_remove("identifier");
    Operation::new(Method::PATCH, app_path(&format!("/releases/{id}")), valid, fields)
}

async fn making_a_release_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let create = create_release();
    fixture.try_rows(&admin, &create, create.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &create, 201).await;
    fixture.finish();
}

async fn changing_a_release_refuses_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let update = update_release(&fixture.draft);
    fixture.try_rows(&admin, &update, update.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &update, 200).await;
    fixture.finish();
}

on_both_databases!(
    making_a_release_refuses_bad_input,
    changing_a_release_refuses_bad_input
);
