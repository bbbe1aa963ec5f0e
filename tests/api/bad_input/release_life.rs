//! Actions on a release and its rollout.

use reqwest::Method;
use serde_json::json;

use super::fixture::{Fixture, app_path};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Members that override the gates of a publication.
pub(super) const OVERRIDES: [&str; 3] = ["force", "accept_signer_change", "accept_unsafe_package"];

pub(super) fn verb(release: &str, verb: &str, body: serde_json::Value, fields: Vec<Field>) -> Operation {
    Operation::new(
        Method::POST,
        app_path(&format!("/releases/{release}/{verb}")),
        body,
        fields,
    )
}

pub(super) fn recall(release: &str) -> Operation {
    verb(
        release,
        "recall",
        json!({"mode": "stop", "reason": "crashes\nat the till"}),
        vec![
            Field::required("mode", Kind::OneOf(&["stop", "rollback", "removal"])),
            Field::required("reason", Kind::Lines { min: 1, max: 500 }),
        ],
    )
}

async fn verbs_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let (draft, published) = (fixture.draft.clone(), fixture.published.clone());
    let before = fixture.everything().await;
    let overrides = || Vec::from(OVERRIDES.map(|name| Field::not_null(name, Kind::Bool)));
    let mut several = overrides();
    several.push(Field::required(
        "release_ids",
        Kind::list(Kind::AnyText, 100, |_| {
            json!("0197c0de-0000-7000-8000-000000000001")
        }),
    ));
    let operations = [
        verb(&draft, "publish", json!({"force": false}), overrides()),
        Operation::new(
            Method::POST,
            app_path("/publish"),
            json!({"release_ids": [draft], "force": false}),
            several,
        ),
        verb(&published, "pause", json!({}), Vec::new()),
        verb(&published, "resume", json!({}), Vec::new()),
        recall(&published),
    ];
    let discard = verb(&draft, "discard", json!({}), Vec::new());
    for operation in operations.iter().chain([&discard]) {
        fixture.try_rows(&admin, operation, operation.rows()).await;
    }
    assert_eq!(fixture.everything().await, before);
    for operation in &operations {
        fixture.try_operation(&admin, operation, 200).await;
    }
    fixture.finish();
}

async fn rollouts_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let set = Operation::new(
        Method::PUT,
        app_path(&format!("/releases/{}/rollout", fixture.published)),
        json!({"percent": 50, "key": "wave", "unit": "l3"}),
        vec![
            Field::not_null("percent", Kind::Percent),
            Field::optional("key", Kind::Line { max: 128 }),
            Field::not_null("unit", Kind::OneOf(&["device", "l1", "l2", "l3", "l4", "l5"])),
        ],
    );
    let mut rows = set.rows();
    let nothing = json!({"percent": null, "key": null, "unit": null});
    rows.push(set.row(&nothing, ExpectedProblem::field("percent")));
    for unit in ["l0", "l6", "L3", "store", "d", "l", "l33"] {
        rows.push(set.row(&json!({"unit": unit}), ExpectedProblem::field("unit")));
    }
    let all = json!({"percent": -1, "key": " ", "unit": "l0"});
    rows.push(set.row(&all, ExpectedProblem::fields(["percent", "key", "unit"])));
    fixture.try_rows(&admin, &set, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &set, 200).await;
    fixture.finish();
}

/// A well-formed action in the wrong state is a conflict and changes nothing.
async fn verbs_at_the_wrong_time_conflict(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let (draft, published) = (fixture.draft.clone(), fixture.published.clone());
    let before = fixture.everything().await;
    let operations = [
        verb(&draft, "pause", json!({}), Vec::new()),
        verb(&draft, "resume", json!({}), Vec::new()),
        recall(&draft),
        verb(&published, "discard", json!({}), Vec::new()),
    ];
    for operation in &operations {
        let row = operation.row(&json!({}), ExpectedProblem::status(409, "wrong_state"));
        fixture.try_rows(&admin, operation, vec![row]).await;
    }
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

on_both_databases!(
    verbs_refuse_bad_input,
    rollouts_refuse_bad_input,
    verbs_at_the_wrong_time_conflict,
);
