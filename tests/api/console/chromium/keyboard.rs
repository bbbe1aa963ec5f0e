//! Behaviour that depends on the browser and its keyboard: languages, theme, times, shortcuts. It is the same on both
//! databases.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::wait::until;

use super::samples::{Day, FIRST};
use super::tab::Tab;
use crate::api::harness::{ADMIN, CHUKU, DEADLINE, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_the_browser_and_its_keyboard() {
    let day = Day::begin(TestDatabase::sqlite().await).await;
    day.merchant.published(CHUKU, 240).await;
    let tab = Tab::open(&day.app.url).await;
    tab.set_languages("zh-CN,zh;q=0.9,en;q=0.8").await;
    tab.set_zone("Asia/Shanghai").await;
    tab.sign_in(&day.package, ADMIN, PASSWORD).await;
    assert_eq!(tab.run("return document.documentElement.lang").await, "zh");
    tab.expect(".side", "设备").await;
    tab.leave_by(".foot button").await;
    assert_eq!(
        tab.path().await,
        day.package,
        "the choice of a language returns to the page"
    );
    tab.expect(".side", "Devices").await;

    // 02:00 UTC.
    tab.expect("main time", "2026-03-02 10:00").await;
    let title = tab.run("return document.querySelector('main time').title").await;
    assert_eq!(title, "2026-03-02 02:00:00 UTC");

    let ground = "return getComputedStyle(document.body).backgroundColor";
    tab.set_dark(false).await;
    let light = tab.run(ground).await;
    tab.set_dark(true).await;
    assert_ne!(tab.run(ground).await, light);

    tab.press("?").await;
    tab.expect_soon("dialog", "Keyboard shortcuts").await;
    tab.click("dialog button").await;
    // Keys that arrive while the dialog is open are its own.
    until("the dialog closes", DEADLINE, async || {
        !tab.has("dialog[open]").await
    })
    .await;
    tab.press("gd").await;
    tab.expect_soon("h1", "Devices").await;
    tab.press("/").await;
    assert_eq!(tab.run("return document.activeElement.id").await, "q");
    tab.fill("#q", FIRST).await;
    tab.run("document.getElementById('q').form.requestSubmit()").await;
    tab.expect_soon("h1", FIRST).await;

    // The first tab stop skips the navigation.
    tab.reload().await;
    tab.press("\u{e004}").await;
    assert_eq!(tab.run("return document.activeElement.className").await, "skip");
    tab.close().await;
}
