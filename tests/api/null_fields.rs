//! Null in a field that does not accept it: the refusal of a create names the default, and that of a change says that
//! the value stays.

use serde_json::{Value, json};

use super::harness::{
    Answer, CHUKU, PACKAGE, TestApp, app_fields, in_app, in_tenant, path_of, release_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const KEEP: &str = "must not be null; leave it out to keep it";
const DEFAULT: &str = "must not be null; leave it out to get the default";

/// Returns the fields that a 400 names, and the message of each.
#[track_caller]
fn errors(answer: Answer) -> Vec<(String, String)> {
    let body = answer.problem(400, "invalid_parameter");
    let text = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
    body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (text(error, "field"), text(error, "message")))
        .collect()
}

fn each(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(field, message)| ((*field).to_owned(), (*message).to_owned()))
        .collect()
}

async fn a_create_is_told_of_the_default_or_that_the_field_is_required(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let new_app = with(
        app_fields("com.example.other"),
        json!({"old_package_names": null}),
    );
    let refused = merchant.admin.post(&in_tenant("/apps"), &new_app).await;
    assert_eq!(errors(refused), each(&[("old_package_names", DEFAULT)]));

    let nulls =
        json!({"mandatory": null, "publish": null, "device_types": null, "rollout": {"percent": null}});
    let refused = merchant.create(&with(release_fields(CHUKU, 1), nulls)).await;
    let expected = each(&[
        ("publish", DEFAULT),
        ("mandatory", DEFAULT),
        ("device_types", DEFAULT),
        ("rollout.percent", DEFAULT),
    ]);
    assert_eq!(errors(refused), expected);
    let refused = merchant
        .create(&with(release_fields(CHUKU, 1), json!({"size": null})))
        .await;
    assert_eq!(errors(refused), each(&[("size", "size is required")]));

    let release = merchant.draft(CHUKU, 1).await;
    let refused = merchant.take(&release, "publish", &json!({"force": null})).await;
    assert_eq!(errors(refused), each(&[("force", DEFAULT)]));
}

async fn a_change_is_told_that_the_value_stays(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.draft(CHUKU, 1).await;
    for (path, change, field) in [
        (in_app(""), json!({"app_name": null}), "app_name"),
        (
            in_app(""),
            json!({"old_package_names": null}),
            "old_package_names",
        ),
        (path_of(&release), json!({"size": null}), "size"),
        (
            in_app(&format!("/resources/{PACKAGE}")),
            json!({"enabled": null}),
            "enabled",
        ),
    ] {
        let refused = merchant.admin.patch(&path, &change).await;
        assert_eq!(errors(refused), each(&[(field, KEEP)]), "{path}");
    }
    let rollout = format!("{}/rollout", path_of(&release));
    let refused = merchant
        .admin
        .put(&rollout, &json!({"percent": null, "unit": "l1"}))
        .await;
    assert_eq!(errors(refused), each(&[("percent", KEEP)]));
}

on_both_databases!(
    a_create_is_told_of_the_default_or_that_the_field_is_required,
    a_change_is_told_that_the_value_stays,
);
