//! The console with scripts switched off.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::samples::{Day, FIRST, fill_release};
use super::tab::Tab;
use crate::api::harness::{ADMIN, PASSWORD};

async fn the_same_day_needs_no_script(database: TestDatabase) {
    let day = Day::begin(database).await;
    let tab = Tab::open(&day.app.url).await;
    tab.forbid_scripts().await;
    tab.sign_in(&format!("{}/releases/new", day.package), ADMIN, PASSWORD)
        .await;
    fill_release(&tab).await;
    tab.click("#release-publish").await;
    tab.submit("release").await;
    tab.expect(".notice", "Published").await;
    tab.expect("time", "2026-03-02 02:00 UTC").await;
    let release = tab.path().await;

    tab.go(&format!("{}/devices/{FIRST}", day.tenant)).await;
    tab.submit("check-com\\.hema\\.wms").await;
    tab.expect("#explanation", "offered").await;

    tab.go(&release).await;
    tab.disclose("recall").await;
    tab.choose("#recall-mode", "stop").await;
    tab.fill("#recall-reason", "it crashes at the till").await;
    tab.submit("recall").await;
    tab.expect("h1 .badge", "Recalled").await;

    day.merchant.know(&[FIRST]).await;
    let push = day.push(FIRST).await;
    tab.go(&format!("{}/pushes/{}", day.tenant, push["id"].as_str().unwrap()))
        .await;
    tab.expect("#targets", "queued").await;
    tab.disclose("withdraw").await;
    tab.submit("withdraw").await;
    tab.expect("#targets", "withdrawn").await;
    assert!(!tab.has(".copy-button").await, "the page's own script runs");

    tab.leave_by(".foot button").await;
    tab.expect(".account button", "退出").await;
    tab.leave_by(".account button").await;
    assert!(tab.has("#sign-in").await);
    tab.close().await;
}

on_both_databases!(the_same_day_needs_no_script);
