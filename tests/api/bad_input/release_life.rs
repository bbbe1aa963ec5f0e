//! The verbs of a release and its rollout.

use reqwest::Method;
use serde_json::json;

use super::kind::Kind;
use super::stage::{Stage, app_path};
use super::table::{Expected, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

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
    let mut stage = Stage::set(database).await;
    let admin = stage.admin.clone();
    let (draft, published) = (stage.draft.clone(), stage.published.clone());
    let before = stage.everything().await;
    let force = || vec![Field::not_null("force", Kind::Bool)];
    let operations = [
        verb(&draft, "publish", json!({"force": false}), force()),
        verb(&published, "pause", json!({}), Vec::new()),
        verb(&published, "resume", json!({}), Vec::new()),
        recall(&published),
    ];
    let discard = verb(&draft, "discard", json!({}), Vec::new());
    for operation in operations.iter().chain([&discard]) {
        stage.try_rows(&admin, operation, operation.rows()).await;
    }
    assert_eq!(stage.everything().await, before);
    for operation in &operations {
        stage.try_operation(&admin, operation, 200).await;
    }
    stage.finish();
}

async fn rollouts_refuse_bad_input(database: TestDatabase) {
    let mut stage = Stage::set(database).await;
    let admin = stage.admin.clone();
    let before = stage.everything().await;
    let set = Operation::new(
        Method::PUT,
        app_path(&format!("/releases/{}/rollout", stage.published)),
        json!({"percent": 50, "key": "wave", "unit": "l3"}),
        vec![
            Field::not_null("percent", Kind::Percent),
            Field::optional("key", Kind::Line { max: 128 }),
            Field::not_null("unit", Kind::OneOf(&["device", "l1", "l2", "l3", "l4", "l5"])),
        ],
    );
    let mut rows = set.rows();
    let nothing = json!({"percent": null, "key": null, "unit": null});
    rows.push(set.row(&nothing, Expected::field("percent")));
    for unit in ["l0", "l6", "L3", "store", "d", "l", "l33"] {
        rows.push(set.row(&json!({"unit": unit}), Expected::field("unit")));
    }
    let all = json!({"percent": -1, "key": " ", "unit": "l0"});
    rows.push(set.row(&all, Expected::fields(["percent", "key", "unit"])));
    stage.try_rows(&admin, &set, rows).await;
    assert_eq!(stage.everything().await, before);
    stage.try_operation(&admin, &set, 200).await;
    stage.finish();
}

/// What is well formed but comes at the wrong time is a conflict, and changes nothing either.
async fn verbs_at_the_wrong_time_conflict(database: TestDatabase) {
    let mut stage = Stage::set(database).await;
    let admin = stage.admin.clone();
    let (draft, published) = (stage.draft.clone(), stage.published.clone());
    let before = stage.everything().await;
    let operations = [
        verb(&draft, "pause", json!({}), Vec::new()),
        verb(&draft, "resume", json!({}), Vec::new()),
        recall(&draft),
        verb(&published, "discard", json!({}), Vec::new()),
    ];
    for operation in &operations {
        let row = operation.row(&json!({}), Expected::status(409, "wrong_state"));
        stage.try_rows(&admin, operation, vec![row]).await;
    }
    assert_eq!(stage.everything().await, before);
    stage.finish();
}

on_both_databases!(
    verbs_refuse_bad_input,
    rollouts_refuse_bad_input,
    verbs_at_the_wrong_time_conflict,
);
