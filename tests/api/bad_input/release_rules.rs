//! The rules between the fields of a release, its limits, and its nested members.

use serde_json::{Value, json};

use super::fixture::{Fixture, OLD_NAME, app_path};
use super::kind::nested;
use super::releases::{create_release, update_release, whole_release};
use super::table::{ExpectedProblem, Operation, Row};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const RULE: &str = "attribute_rules[0]";

/// Returns wrong members of a release, each with the fields that the refusal names.
fn wrong_members() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (json!({"ends_at": "2026-03-02T02:00:00Z"}), &["ends_at"]),
        (json!({"ends_at": "2026-03-02T10:00:00+08:00"}), &["ends_at"]),
        (json!({"ends_at": "2026-03-02T01:59:59.999999Z"}), &["ends_at"]),
        (json!({"starts_at": "2030-01-01T00:00:00Z"}), &["ends_at"]),
        (
            json!({"host_version_min": 51, "host_version_max": 50}),
            &["host_version_max"],
        ),
        (
            json!({"host_version_min": 1, "host_version_max": 0}),
            &["host_version_max"],
        ),
        (json!({"rollout": {"percent": 33.333}}), &["rollout.percent"]),
        (json!({"rollout": {"unit": "l0"}}), &["rollout.unit"]),
        (json!({"rollout": {"unit": "l6"}}), &["rollout.unit"]),
        (json!({"rollout": {"unit": "L3"}}), &["rollout.unit"]),
        (
            json!({"rollout": {"percent": 100.01, "key": "", "unit": "store"}}),
            &["rollout.percent", "rollout.key", "rollout.unit"],
        ),
        (
            json!({"rollout": {"percent": 50, "share": 50}}),
            &["rollout.share"],
        ),
        (json!({"rollout": {"percent": 50, "": 50}}), &["rollout."]),
        (json!({"rollout": [50]}), &["rollout"]),
        (json!({"rollout": [50, "key", "device"]}), &["rollout"]),
        (json!({"org_scopes": [{}]}), &["org_scopes[0]"]),
        (json!({"org_scopes": [{"l1Code": null}]}), &["org_scopes[0]"]),
        (
            json!({"org_scopes": [{"l1Code": "HM"}, {}, {"l2Code": " "}]}),
            &["org_scopes[1]", "org_scopes[2]"],
        ),
        (
            json!({"org_scopes": [{"l6Code": "HM"}]}),
            &["org_scopes[0].l6Code"],
        ),
        (
            json!({"org_scopes": [{"l1Code": "HM", "l1_code": "HM"}]}),
            &["org_scopes[0].l1_code"],
        ),
        (json!({"org_scopes": [["HM"]]}), &["org_scopes[0]"]),
        (
            json!({"org_scopes": [["HM", null, null, null, null]]}),
            &["org_scopes[0]"],
        ),
        (
            json!({"org_scopes": [{"l1Code": 8007}]}),
            &["org_scopes[0].l1Code"],
        ),
        (json!({"org_exclusions": [{}]}), &["org_exclusions[0]"]),
        (
            json!({"org_exclusions": [{"l3Code": "8007"}, {"l9Code": "x"}]}),
            &["org_exclusions[1].l9Code"],
        ),
        (json!({"attribute_rules": [["a", "eq", "b"]]}), &[RULE]),
        (json!({"attribute_rules": [{}]}), &["attribute_rules[0].name"]),
        (
            json!({"attribute_rules": [{"name": "a", "op": "eq"}]}),
            &["attribute_rules[0].value"],
        ),
        (
            json!({"attribute_rules": [{"name": "a", "op": "eq", "value": "b", "not": true}]}),
            &["attribute_rules[0].not"],
        ),
        (
            json!({"device_types": ["a", "", "b", " "]}),
            &["device_types[1]", "device_types[3]"],
        ),
        (json!({"device_ids": ["a", "b\u{0}"]}), &["device_ids[1]"]),
        (json!({"identifier": OLD_NAME}), &["identifier"]),
        (
            json!({"version_code": null, "md5": null, "size": null, "version_name": null, "download_url": null, "identifier": null}),
            &[
                "identifier",
                "version_code",
                "version_name",
                "download_url",
                "size",
                "md5",
            ],
        ),
        (
            json!({"version_code": 0, "md5": "x", "size": null, "identifier": "a b"}),
            &["identifier", "version_code", "size", "md5"],
        ),
    ]
}

/// Returns operators with values that they do not support.
fn wrong_rules() -> Vec<Value> {
    let many: Vec<_> = (0..101).collect();
    let long = "x".repeat(1_001);
    [
        ("eq", json!(null)),
        ("eq", json!(["a"])),
        ("eq", json!({})),
        ("eq", json!(long)),
        ("ne", json!([])),
        ("in", json!("a")),
        ("in", json!(5)),
        ("in", json!([])),
        ("in", json!([["a"]])),
        ("in", json!([null])),
        ("in", json!(["a", {}])),
        ("in", json!(many)),
        ("in", json!({"0": "a"})),
        ("not_in", json!("a")),
        ("not_in", json!(many)),
        ("gt", json!("many")),
        ("gt", json!(true)),
        ("ge", json!([1])),
        ("lt", json!("")),
        ("lt", json!("NaN")),
        ("le", json!("Infinity")),
        ("semver", json!("newest")),
        ("semver", json!("")),
        ("semver", json!(8)),
        ("semver", json!(">=8 || <3")),
        ("exists", json!("yes")),
        ("exists", json!("true")),
        ("exists", json!(1)),
        ("exists", json!(null)),
        ("like", json!("a")),
    ]
    .into_iter()
    .map(|(op, value)| json!({"attribute_rules": [{"name": "a", "op": op, "value": value}]}))
    .collect()
}

fn rows(operation: &Operation) -> Vec<Row> {
    let members = wrong_members();
    let members = members
        .iter()
        .map(|(changes, fields)| operation.row(changes, ExpectedProblem::fields(fields.iter().copied())));
    let rules = wrong_rules();
    let rules = rules
        .iter()
        .map(|changes| operation.row(changes, ExpectedProblem::field(RULE)));
    members.chain(rules).collect()
}

async fn the_rules_between_fields_hold_when_a_release_is_made(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let create = create_release();
    fixture.try_rows(&admin, &create, rows(&create)).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

async fn the_rules_between_fields_hold_when_a_release_is_changed(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let update = update_release(&fixture.draft);
    let mut rows = rows(&update);
    // Omitted fields and other resources only concern creation.
    rows.retain(|row| !row.expected.fields.iter().any(|field| field == "identifier"));
    rows.push(update.row(
        &json!({"identifier": "com.hema.wms.chuku"}),
        ExpectedProblem::field("identifier"),
    ));
    rows.push(update.row(&json!({"publish": true}), ExpectedProblem::field("publish")));
    rows.push(update.row(&json!({"state": "published"}), ExpectedProblem::field("state")));
    rows.push(update.row(&json!({"id": "x"}), ExpectedProblem::field("id")));
    fixture.try_rows(&admin, &update, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// A change is validated together with the stored fields.
async fn a_change_that_contradicts_what_is_stored_is_refused(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let path = app_path(&format!("/releases/{}", fixture.draft));
    let stored = json!({"ends_at": "2026-03-03T00:00:00Z", "host_version_max": 50});
    admin.patch(&path, &stored).await.expect(200);
    let before = fixture.everything().await;
    let change = Operation::new(reqwest::Method::PATCH, path, json!({}), Vec::new());
    let rows = vec![
        change.row(
            &json!({"starts_at": "2026-03-03T00:00:00Z"}),
            ExpectedProblem::field("ends_at"),
        ),
        change.row(
            &json!({"host_version_min": 51}),
            ExpectedProblem::field("host_version_max"),
        ),
    ];
    fixture.try_rows(&admin, &change, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// Facts of a published file cannot change. The refusal names those that would change.
async fn file_facts_of_a_published_release_stay(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let mut update = update_release(&fixture.published);
    update.valid = json!({});
    let whole = whole_release();
    let fixed = [
        "version_code",
        "version_name",
        "download_url",
        "size",
        "md5",
        "sha256",
    ];
    let mut rows = Vec::new();
    for field in fixed.into_iter().filter(|field| *field != "size") {
        let mut expected = ExpectedProblem::status(409, "wrong_state");
        expected.fields.push(field.to_owned());
        rows.push(update.row(&json!({field: whole[field]}), expected));
    }
    fixture.try_rows(&admin, &update, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// A release at every limit is accepted. The tables cover one beyond each limit.
async fn a_release_at_every_limit_is_accepted(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let scope = |index: usize| json!({"l1Code": "HM", "l2Code": index.to_string()});
    let values: Vec<_> = (0..100).collect();
    let rule = |index: usize| json!({"name": format!("a{index}"), "op": "in", "value": values});
    let texts = |count: usize| (0..count).map(|index| format!("d{index}")).collect::<Vec<_>>();
    let changes = json!({
        "version_code": i64::MAX,
        "version_name": "店".repeat(64),
        "size": i64::MAX,
        "download_url": format!("https://a/{}", "x".repeat(2_048 - 10)),
        "update_desc": "店".repeat(4_000),
        "config_json": {"a": "x".repeat(64 * 1024 - 8)},
        "org_scopes": (0..1_000).map(scope).collect::<Vec<_>>(),
        "org_exclusions": (0..1_000).map(scope).collect::<Vec<_>>(),
        "device_types": texts(100),
        "device_ids": texts(10_000),
        "attribute_rules": (0..50).map(rule).collect::<Vec<_>>(),
        "starts_at": "1970-01-01T00:00:00Z",
        "ends_at": "9999-12-31T23:59:59.999999Z",
    });
    let row = create_release().row(&changes, ExpectedProblem::fields::<&str>([]));
    let body: Value = serde_json::from_slice(&row.body).unwrap();
    let made = fixture
        .admin
        .post(&app_path("/releases"), &body)
        .await
        .expect(201);
    let path = app_path(&format!("/releases/{}", made["id"].as_str().unwrap()));
    let read = fixture.admin.get(&path).await.expect(200);
    for (field, value) in changes.as_object().unwrap() {
        assert_eq!(read[field], *value, "{field}");
    }
}

/// Unusual but valid values are stored as sent and readable later.
async fn odd_releases_are_read_as_they_were_written(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let nested: Value = serde_json::from_str(&nested(120)).unwrap();
    let create = create_release();
    let odd = [
        json!({"config_json": nested}),
        json!({"config_json": {"\u{0}": "\u{0}", "": {"": [null, 1e300, -0.0, u64::MAX, i64::MIN, "\u{feff}\u{202e}"]}}}),
        json!({"attribute_rules": [{"name": "a", "op": "in", "value": ["\u{0}", "", " ", 1e300, u64::MAX, false]}]}),
        json!({"starts_at": "2016-12-31T23:59:60Z"}),
        json!({"starts_at": "2016-12-31T23:59:60.123456789Z"}),
        json!({"starts_at": "2500-01-01T00:00:00.123456789Z", "ends_at": "9999-12-31T23:59:59.999999999Z"}),
        json!({"org_scopes": [{"l1Code": "a/b:c\"\\'"}], "device_types": ["%", "_", "😀"], "device_ids": ["' OR 1=1 --"]}),
        json!({"rollout": {"percent": 0.01, "key": "\u{202e}", "unit": "l5"}, "update_desc": " \r\n\t"}),
    ];
    for (version, changes) in (1_000..).zip(odd) {
        let mut changes = changes;
        changes["version_code"] = json!(version);
        changes["publish"] = json!(true);
        changes["force"] = json!(true);
        let row = create.row(&changes, ExpectedProblem::fields::<&str>([]));
        let body: Value = serde_json::from_slice(&row.body).unwrap();
        let mut made = fixture
            .admin
            .post(&app_path("/releases"), &body)
            .await
            .expect(201);
        made.as_object_mut().unwrap().shift_remove("ignored");
        let path = app_path(&format!("/releases/{}", made["id"].as_str().unwrap()));
        assert_eq!(fixture.admin.get(&path).await.expect(200), made, "{changes}");
    }
    fixture.everything().await;
    let check = json!({"package_name": "com.hema.wms", "version_code": 50, "device_id": "PDA001"});
    fixture.device.post("/v1/check", &check).await.expect(200);
    fixture
        .admin
        .post(&app_path("/explain"), &check)
        .await
        .expect(200);
}

on_both_databases!(
    odd_releases_are_read_as_they_were_written,
    the_rules_between_fields_hold_when_a_release_is_made,
    the_rules_between_fields_hold_when_a_release_is_changed,
    a_change_that_contradicts_what_is_stored_is_refused,
    file_facts_of_a_published_release_stay,
    a_release_at_every_limit_is_accepted,
);
