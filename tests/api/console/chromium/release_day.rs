//! A release manager's day: publish a release to a few stores, see which devices get it, stop it, push a package.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::samples::{Day, FIRST, SECOND, fill_release};
use super::tab::Tab;
use crate::api::harness::{ADMIN, PASSWORD};

async fn a_release_is_published_explained_and_recalled(database: TestDatabase) {
    let day = Day::begin(database).await;
    let tab = Tab::open(&day.app.url).await;
    tab.sign_in(&day.package, ADMIN, PASSWORD).await;
    assert_eq!(
        tab.path().await,
        day.package,
        "the page that was asked for is shown after the sign-in"
    );

    tab.follow("New release").await;
    fill_release(&tab).await;
    for (field, value) in [
        ("rollout-percent", "5"),
        ("rollout-key", "chuku-2.4"),
        ("device_ids", FIRST),
    ] {
        tab.fill(&format!("#release-{field}"), value).await;
    }
    tab.choose("#release-rollout-unit", "l3").await;
    tab.click("#release-publish").await;
    tab.submit("release").await;
    tab.expect(".notice", "Published").await;
    tab.expect("h1", "2.4.0").await;
    let release = tab.path().await;
    tab.go(&day.package).await;
    tab.expect("tbody", "5%").await;
    assert_eq!(day.check(FIRST, "8007").await, [240]);
    assert_eq!(day.check(SECOND, "8011").await, Vec::<i64>::new());

    for (device, verdict) in [(FIRST, "offered"), (SECOND, "excluded")] {
        tab.go(&format!("{}/devices/{device}", day.tenant)).await;
        tab.submit("check-com\\.hema\\.wms").await;
        tab.expect("#explanation", verdict).await;
    }
    tab.expect("#explanation", "rollout").await;

    tab.go(&release).await;
    tab.disclose("pause").await;
    tab.submit("pause").await;
    tab.expect("h1 .badge", "Paused").await;
    assert_eq!(day.check(FIRST, "8007").await, Vec::<i64>::new());
    tab.disclose("recall").await;
    tab.choose("#recall-mode", "rollback").await;
    tab.fill("#recall-reason", "it crashes at the till").await;
    tab.submit("recall").await;
    tab.expect("h1 .badge", "Recalled").await;
    tab.expect(".notice.bad", "it crashes at the till").await;

    tab.leave_by(".account button").await;
    tab.expect(".notice", "You are signed out").await;
    tab.go(&release).await;
    assert!(tab.has("#sign-in").await, "a page needs a session");
    tab.close().await;
}

async fn the_states_of_a_push_are_seen_live(database: TestDatabase) {
    let day = Day::begin(database).await;
    let device = day.enrol(FIRST).await;
    let tab = Tab::signed_in(&day.app.url, ADMIN, PASSWORD).await;
    tab.go(&format!("{}/pushes", day.tenant)).await;
    tab.disclose("push").await;
    for (field, value) in [
        ("target_info", format!("{FIRST}@stores").as_str()),
        ("package_push_info-pack_url", "https://files.example/demo.amr"),
        ("package_push_info-app_id", "111"),
    ] {
        tab.fill(&format!("#push-{field}"), value).await;
    }
    tab.submit("push").await;
    tab.expect("#targets", "queued").await;
    let id = tab.path().await;
    let id = id.rsplit('/').next().unwrap();
    // A reload would delete the variable.
    tab.run("window.isTheSamePage = true").await;
    let acknowledge = format!("/v1/devices/{FIRST}/pushes/{id}/ack");
    for state in ["received", "applied"] {
        device
            .post(&acknowledge, &json!({ "state": state }))
            .await
            .expect(200);
        tab.expect_soon("#targets", state).await;
    }
    assert_eq!(tab.run("return window.isTheSamePage").await, true);
    tab.close().await;
}

on_both_databases!(
    a_release_is_published_explained_and_recalled,
    the_states_of_a_push_are_seen_live,
);
