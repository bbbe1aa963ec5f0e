//! Conflicts and refusals: a concurrent change, an insufficient role, a form from another site, an expired session.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::samples::Day;
use super::tab::Tab;
use crate::api::harness::{ADMIN, CHUKU, PASSWORD, TENANT, in_app};
use crate::api::operations::make_person;

async fn a_stale_form_shows_both_values_and_keeps_the_input(database: TestDatabase) {
    let day = Day::begin(database).await;
    let tab = Tab::signed_in(&day.app.url, ADMIN, PASSWORD).await;
    tab.go(&day.package).await;
    tab.disclose("change").await;
    tab.fill("#change-app_name", "Mine").await;
    let theirs = json!({"app_name": "Theirs", "icon_url": "https://files.example/icon.png"});
    day.merchant.admin.patch(&in_app(""), &theirs).await.expect(200);
    tab.submit("change").await;
    tab.expect("#change-problem", "Somebody saved this after you opened it")
        .await;
    assert_eq!(tab.value("#change-app_name").await, "Mine");
    tab.expect(".field:has(#change-app_name) .stored", "Theirs").await;
    // A field that was not touched takes the stored value.
    let icon = "https://files.example/icon.png";
    assert_eq!(tab.value("#change-icon_url").await, icon);
    assert!(!tab.has(".field:has(#change-icon_url) .stored").await);
    let stored = day.merchant.admin.get(&in_app("")).await.expect(200);
    assert_eq!(stored["app_name"], "Theirs");
    tab.submit("change").await;
    tab.expect(".notice", "Saved").await;
    tab.expect("h1", "Mine").await;
    let stored = day.merchant.admin.get(&in_app("")).await.expect(200);
    assert_eq!(stored["icon_url"], icon);
    tab.close().await;
}

async fn a_session_has_its_limits(database: TestDatabase) {
    let day = Day::begin(database).await;
    let release = day.merchant.published(CHUKU, 240).await;
    make_person(&day.merchant.admin, TENANT, "viewer", "viewer").await;
    let tab = Tab::signed_in(&day.app.url, "viewer", PASSWORD).await;
    assert_eq!(tab.path().await, day.tenant, "people of a tenant begin there");
    let release = format!("{}/releases/{}", day.package, release["id"].as_str().unwrap());
    // No action that would be refused. Signing out, the language and the filter forms remain.
    for page in [
        day.tenant.clone(),
        day.package.clone(),
        release,
        format!("{}/devices", day.tenant),
        format!("{}/pins", day.tenant),
        format!("{}/pushes", day.tenant),
        format!("{}/org", day.tenant),
    ] {
        tab.go(&page).await;
        assert!(!tab.has("main form[method=post]").await, "{page}");
    }
    tab.go(&format!("{}/people", day.tenant)).await;
    tab.expect("h1", "Not permitted").await;

    let form = format!(
        "data:text/html,<form method=post action='{}/console/account'><input name=new value=another><button>Win</button></form>",
        day.app.url
    );
    tab.open_url(&form).await;
    tab.leave_by("button").await;
    tab.expect("main", "the form was not sent by a current page of this console")
        .await;

    tab.go("/console/account").await;
    let change = json!({"current": PASSWORD, "new": "another long password"});
    let viewer = day.app.login("viewer", PASSWORD).await;
    let changed = viewer.put("/api/v1/me/password", &change).await;
    assert_eq!(changed.status, 204);
    tab.fill("#password-current", PASSWORD).await;
    tab.fill("#password-new", "yet another password").await;
    tab.submit("password").await;
    assert!(tab.has("#sign-in").await, "the session has ended");
    tab.close().await;
}

on_both_databases!(
    a_stale_form_shows_both_values_and_keeps_the_input,
    a_session_has_its_limits,
);
