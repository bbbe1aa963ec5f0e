//! Apps and their resources.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{APP, Fixture, OLD_NAME, RESOURCE, app_path, tenant};
use super::kind::Kind;
use super::table::{ExpectedProblem, Field, Operation};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const NAME: Kind = Kind::Line { max: 128 };

fn old_names() -> Kind {
    Kind::list(Kind::Identifier, 100, |index| json!(format!("com.old.n{index}")))
}

pub(super) fn create_app() -> Operation {
    Operation::new(
        Method::POST,
        tenant("/apps"),
        json!({
            "package_name": "com.hema.pos",
            "app_name": "A till",
            "old_package_names": ["com.hema.till"],
            "icon_url": "https://files.example/icon.png",
        }),
        vec![
            Field::required("package_name", Kind::Identifier),
            Field::required("app_name", NAME),
            Field::not_null("old_package_names", old_names()),
            Field::optional("icon_url", Kind::Url { may_be_empty: true }),
        ],
    )
}

pub(super) fn update_app() -> Operation {
    Operation::new(
        Method::PATCH,
        app_path(""),
        json!({"app_name": "Another name", "old_package_names": [OLD_NAME], "icon_url": "", "enabled": false}),
        vec![
            Field::not_null("app_name", NAME),
            Field::not_null("old_package_names", old_names()),
            Field::optional("icon_url", Kind::Url { may_be_empty: true }),
            Field::not_null("enabled", Kind::Bool),
        ],
    )
}

async fn apps_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    for operation in [create_app(), update_app()] {
        fixture.try_rows(&admin, &operation, operation.rows()).await;
    }
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &create_app(), 201).await;
    fixture.try_operation(&admin, &update_app(), 200).await;
    fixture.finish();
}

async fn old_names_differ_from_one_another_and_from_all_that_has_a_name(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let wrong = |operation: &Operation, names: Value, fields: &[&str]| {
        operation.row(
            &json!({"old_package_names": names}),
            ExpectedProblem::fields(fields.iter().copied()),
        )
    };
    let create = create_app();
    let rows = vec![
        wrong(&create, json!(["com.a", "com.a"]), &["old_package_names[1]"]),
        wrong(
            &create,
            json!(["com.a", "com.b", "com.a", "com.a"]),
            &["old_package_names[2]", "old_package_names[3]"],
        ),
        wrong(&create, json!(["com.hema.pos"]), &["old_package_names[0]"]),
        wrong(&create, json!(["com.a", ".b", "", 5]), &["old_package_names[3]"]),
        wrong(
            &create,
            json!(["com.a", ".b", ""]),
            &["old_package_names[1]", "old_package_names[2]"],
        ),
    ];
    fixture.try_rows(&admin, &create, rows).await;
    let update = update_app();
    let rows = vec![
        wrong(&update, json!(["com.a", "com.a"]), &["old_package_names[1]"]),
        wrong(&update, json!([OLD_NAME, APP]), &["old_package_names[1]"]),
        wrong(&update, json!([OLD_NAME, RESOURCE]), &["old_package_names[1]"]),
    ];
    fixture.try_rows(&admin, &update, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

/// A name in use is a conflict, not a malformed field.
async fn names_that_are_taken_conflict(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let create = create_app();
    let taken = |changes: Value| create.row(&changes, ExpectedProblem::status(409, "already_exists"));
    let rows = vec![
        taken(json!({"package_name": APP})),
        taken(json!({"package_name": OLD_NAME})),
        taken(json!({"old_package_names": [APP]})),
        taken(json!({"old_package_names": [OLD_NAME]})),
    ];
    fixture.try_rows(&admin, &create, rows).await;
    assert_eq!(fixture.everything().await, before);
    fixture.finish();
}

async fn every_wrong_field_is_named_at_once(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let create = create_app();
    let all = create.row(
        &json!({"package_name": "", "app_name": " ", "old_package_names": [".a"], "icon_url": "x"}),
        ExpectedProblem::fields(["package_name", "app_name", "old_package_names[0]", "icon_url"]),
    );
    let none = create.row(
        &json!({"package_name": null, "app_name": null, "old_package_names": null, "icon_url": null}),
        ExpectedProblem::fields(["package_name", "app_name"]),
    );
    fixture.try_rows(&admin, &create, vec![all, none]).await;
    fixture.finish();
}

async fn resources_refuse_bad_input(database: TestDatabase) {
    let mut fixture = Fixture::set(database).await;
    let admin = fixture.admin.clone();
    let before = fixture.everything().await;
    let kinds = &["apk", "miniapp", "offline_package", "config", "firmware", "other"];
    let update = Operation::new(
        Method::PATCH,
        app_path(&format!("/resources/{RESOURCE}")),
        json!({"name": "Receiving", "kind": "miniapp", "enabled": false, "repair_on_mismatch": true}),
        vec![
            Field::optional("name", NAME),
            Field::not_null("kind", Kind::OneOf(kinds)),
            Field::not_null("enabled", Kind::Bool),
            Field::not_null("repair_on_mismatch", Kind::Bool),
        ],
    );
    fixture.try_rows(&admin, &update, update.rows()).await;
    assert_eq!(fixture.everything().await, before);
    fixture.try_operation(&admin, &update, 200).await;
    fixture.finish();
}

on_both_databases!(
    apps_refuse_bad_input,
    old_names_differ_from_one_another_and_from_all_that_has_a_name,
    names_that_are_taken_conflict,
    every_wrong_field_is_named_at_once,
    resources_refuse_bad_input,
);
