//! Apps and their names.

use serde_json::{Value, json};

use super::harness::{
    CHUKU, PACKAGE, TENANT, TestApp, app_fields, check_fields, every_item, in_app, in_tenant, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn an_app_is_added_and_read(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let made = admin.post(&in_tenant("/apps"), &app_fields(PACKAGE)).await;
    let etag = made.header("etag").to_owned();
    let made = made.expect(201);
    assert_eq!(made["package_name"], PACKAGE);
    assert_eq!(made["app_name"], "An app");
    assert_eq!(made["old_package_names"], json!([]));
    assert_eq!(made["icon_url"], Value::Null);
    assert_eq!(made["enabled"], true);
    let read = admin.get(&in_app("")).await;
    assert_eq!(read.header("etag"), etag);
    assert_eq!(read.expect(200), made);
}

async fn apps_are_listed_by_package_name(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for name in ["b.app", "a.app", "B.app", "a-app"] {
        admin
            .post(&in_tenant("/apps"), &app_fields(name))
            .await
            .expect(201);
    }
    let listed = every_item(&admin, &in_tenant("/apps?limit=2")).await;
    let names: Vec<_> = listed.iter().map(|app| &app["package_name"]).collect();
    assert_eq!(names, ["B.app", "a-app", "a.app", "b.app"]);
}

async fn what_is_left_out_of_a_change_stays(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let change = async |changes: Value| merchant.admin.patch(&in_app(""), &changes).await.expect(200);
    let icon = "https://files.example/icon.png";
    let changed = change(json!({"icon_url": icon, "old_package_names": ["com.old"]})).await;
    assert_eq!(changed["app_name"], "An app");
    assert_eq!(changed["icon_url"], icon);
    let changed = change(json!({"app_name": "Hema WMS"})).await;
    assert_eq!(changed["icon_url"], icon);
    assert_eq!(changed["old_package_names"], json!(["com.old"]));
    let changed = change(json!({"icon_url": null})).await;
    assert_eq!(changed["icon_url"], Value::Null);
    assert_eq!(changed["app_name"], "Hema WMS");
}

async fn a_package_name_never_changes(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let renamed = merchant
        .admin
        .patch(&in_app(""), &json!({"package_name": "com.other"}))
        .await;
    assert_eq!(renamed.body["errors"][0]["code"], "unknown");
    assert_eq!(renamed.wrong_fields(), ["package_name"]);
}

async fn wrong_fields_of_an_app_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let create = async |body: Value| merchant.admin.post(&in_tenant("/apps"), &body).await;
    assert_eq!(
        create(json!({})).await.wrong_fields(),
        ["package_name", "app_name"]
    );
    let body = json!({"package_name": "-x", "app_name": " ", "old_package_names": ["ok", "not ok"],
        "icon_url": "no url"});
    assert_eq!(
        create(body).await.wrong_fields(),
        ["package_name", "app_name", "old_package_names[1]", "icon_url"]
    );
    let own_name = with(app_fields("x"), json!({"old_package_names": ["x"]}));
    assert_eq!(create(own_name).await.wrong_fields(), ["old_package_names[0]"]);
    let null = json!({"app_name": null});
    let patched = merchant.admin.patch(&in_app(""), &null).await;
    assert_eq!(patched.wrong_fields(), ["app_name"]);
}

async fn a_name_is_taken_by_an_app_that_has_or_had_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let create = async |name: &str, old_names: Value| {
        let fields = with(app_fields(name), json!({"old_package_names": old_names}));
        merchant.admin.post(&in_tenant("/apps"), &fields).await
    };
    create("com.new", json!(["com.old"])).await.expect(201);
    for (name, old_names) in [
        (PACKAGE, json!([])),
        ("com.old", json!([])),
        ("com.third", json!([PACKAGE])),
        ("com.third", json!(["com.old"])),
    ] {
        create(name, old_names).await.problem(409, "already_exists");
    }
    let taken = json!({"old_package_names": ["com.new"]});
    let patched = merchant.admin.patch(&in_app(""), &taken).await;
    patched.problem(409, "already_exists");

    let given_up = json!({"old_package_names": []});
    let path = in_tenant("/apps/com.new");
    merchant.admin.patch(&path, &given_up).await.expect(200);
    create("com.third", json!(["com.old"])).await.expect(201);
}

async fn names_of_one_tenant_do_not_matter_to_another(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.merchant().await;
    let other = app.tenant_admin(20_000_000).await;
    let made = other
        .post("/api/v1/tenants/20000000/apps", &app_fields(PACKAGE))
        .await;
    made.expect(201);
}

async fn devices_may_ask_under_an_old_name(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    let old_names = json!({"old_package_names": ["com.older", "com.old"]});
    merchant.admin.patch(&in_app(""), &old_names).await.expect(200);
    for (asked_under, old_name) in [
        (PACKAGE, "com.older"),
        ("com.old", "com.old"),
        ("com.older", "com.older"),
    ] {
        let check = with(check_fields(), json!({"package_name": asked_under}));
        let answer = merchant.device.post("/v1/check", &check).await.expect(200);
        assert_eq!(answer["data"][0]["package_name"], PACKAGE);
        assert_eq!(answer["data"][0]["old_package_name"], old_name);
    }
}

async fn an_identifier_of_a_resource_is_no_old_name(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let changes = json!({"old_package_names": ["com.old", CHUKU]});
    let refused = merchant.admin.patch(&in_app(""), &changes).await;
    assert_eq!(refused.wrong_fields(), ["old_package_names[1]"]);
}

async fn an_app_that_is_switched_off_offers_nothing(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 240).await;
    for (enabled, offered) in [(false, vec![]), (true, vec![240])] {
        let switch = json!({"enabled": enabled});
        merchant.admin.patch(&in_app(""), &switch).await.expect(200);
        assert_eq!(merchant.offered(0).await, offered);
    }
}

async fn an_app_with_a_published_or_paused_release_is_not_deleted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let delete = async || merchant.admin.delete(&in_app("")).await;
    delete().await.problem(409, "wrong_state");
    merchant.take(&release, "pause", &json!({})).await.expect(200);
    delete().await.problem(409, "wrong_state");
    assert_eq!(merchant.read(&release).await["state"], "paused");
    merchant.recall(&release, "stop").await.expect(200);
    delete().await.expect(204);
}

async fn a_deleted_app_is_gone_and_its_names_are_free(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let old_names = json!({"old_package_names": ["com.old"]});
    merchant.admin.patch(&in_app(""), &old_names).await.expect(200);
    let release = merchant.draft(CHUKU, 1).await;
    merchant.admin.delete(&in_app("")).await.expect(204);

    let release_path = format!("/releases/{}", release["id"].as_str().unwrap());
    for path in ["", "/resources", "/releases", &release_path] {
        let gone = merchant.admin.get(&in_app(path)).await;
        gone.problem(404, "not_found");
    }
    merchant.admin.delete(&in_app("")).await.problem(404, "not_found");
    let check = merchant.device.post("/v1/check", &check_fields()).await;
    assert_eq!(check.expect(200)["msg_code"], "APP_UNKNOWN");

    for name in [PACKAGE, "com.old"] {
        let made = merchant.admin.post(&in_tenant("/apps"), &app_fields(name)).await;
        made.expect(201);
    }
    let releases = merchant.admin.get(&in_app("/releases")).await.expect(200);
    assert_eq!(releases["items"], json!([]));
    let audit = merchant.audit().await;
    let actions: Vec<_> = audit.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(
        actions[2..6],
        ["app.delete", "release.create", "app.update", "app.create"]
    );
}

on_both_databases!(
    an_app_is_added_and_read,
    apps_are_listed_by_package_name,
    what_is_left_out_of_a_change_stays,
    a_package_name_never_changes,
    wrong_fields_of_an_app_are_all_named,
    a_name_is_taken_by_an_app_that_has_or_had_it,
    names_of_one_tenant_do_not_matter_to_another,
    devices_may_ask_under_an_old_name,
    an_identifier_of_a_resource_is_no_old_name,
    an_app_that_is_switched_off_offers_nothing,
    an_app_with_a_published_or_paused_release_is_not_deleted,
    a_deleted_app_is_gone_and_its_names_are_free,
);
