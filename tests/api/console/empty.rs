//! Pages of an installation without content: what to do first, for those who may do it.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp, in_tenant};
use crate::api::operations::make_person;

async fn an_empty_tenant_shows_the_first_steps_to_those_who_may(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut platform = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    assert_has(&platform.get("/console").await, &["Create the first one here."]);
    let admin = app.tenant_admin(TENANT).await;
    let overview = format!("/console/tenants/{TENANT}");
    let call =
        format!("slipway publish FILE --server \"$SLIPWAY_URL\" --tenant {TENANT} --app com.example.app")
            .replace('"', "&#34;");
    for role in ["admin", "publisher", "viewer"] {
        let name = format!("a-{role}");
        make_person(&admin, TENANT, &name, role).await;
        let mut browser = Browser::signed_in(&app, &name, PASSWORD).await;
        let page = browser.get(&overview).await;
        assert_has(&page, &["There are no apps yet."]);
        let may_create = role != "viewer";
        for part in [
            "Create an app, then its first release here, or from a pipeline",
            &call,
            ">New app</a>",
        ] {
            assert_eq!(
                page.text.contains(part),
                may_create,
                "{role}: {part}: {}",
                page.text
            );
        }
    }
    assert_has(&platform.get(&overview).await, &[&call]);
    let new = serde_json::json!({"package_name": "com.example.first", "app_name": "First"});
    admin.post(&in_tenant("/apps"), &new).await.expect(201);
    let page = platform.get(&overview).await;
    assert!(!page.text.contains("slipway publish"), "{}", page.text);
    let page = platform.get(&format!("{overview}/apps/com.example.first")).await;
    assert_has(&page, &["--app com.example.first"]);
}

on_both_databases!(an_empty_tenant_shows_the_first_steps_to_those_who_may);
