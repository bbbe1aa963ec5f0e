//! Chart of adoption over time on the page of an app.

use chrono::TimeDelta;
use serde_json::{Value, json};
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::count_due;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use crate::api::harness::{
    ADMIN, CHUKU, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, check_fields, in_tenant, with,
};

on_both_databases!(an_app_has_a_chart_and_a_table_of_its_adoption,);

/// Checks with two resources, and waits until the check is recorded.
async fn check(merchant: &Merchant, device: &str, version: i64) {
    let own = json!({"device_id": device, "version_code": 50, "old_versions": {CHUKU: version}});
    let fields = with(check_fields(), own);
    merchant.device.post("/v1/check", &fields).await.expect(200);
    let path = in_tenant(&format!("/devices/{device}"));
    let is_recorded = |device: &Value| {
        let installs = device["installs"].as_array().unwrap().iter();
        let mut versions = installs.map(|install| &install["version_code"]);
        versions.any(|found| *found == version)
    };
    merchant.admin.get_once(&path, is_recorded).await;
}

async fn an_app_has_a_chart_and_a_table_of_its_adoption(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let merchant = Merchant {
        admin: app.pipeline(&merchant.admin, "admin").await,
        ..merchant
    };
    merchant.published(CHUKU, 240).await;
    let path = format!("/console/tenants/{TENANT}/apps/{PACKAGE}");
    check(&merchant, "A", 239).await;
    check(&merchant, "B", 239).await;
    let count = async || {
        count_due(&app.running.context, "this test")
            .await
            .unwrap()
            .unwrap()
    };
    count().await;
    app.clock.set(app.clock.now() + TimeDelta::days(1));
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    check(&merchant, "B", 240).await;
    count().await;

    let page = browser.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let text = &page.text;
    // Yesterday two devices had 239. Today one of them has 240.
    for part in [
        "<h3>Installed versions by day</h3>",
        "<p class=\"quiet\">2026-02-02 – 2026-03-03 (UTC). Most devices on a day: 2</p>",
        "<svg class=\"days\" viewBox=\"0 0 300 200\"",
        "<path class=\"c0\" d=\"M290 0h9v100h-9z\"/>",
        "<path class=\"c1\" d=\"M280 0h9v200h-9zM290 100h9v100h-9z\"/>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let overview = browser.get(&format!("/console/tenants/{TENANT}")).await;
    for part in ["<svg class=\"stack\"", "240: 50.0% · 239: 50.0%"] {
        assert!(overview.text.contains(part), "{part} is not in {}", overview.text);
    }
    let resource = format!("{path}/resources/{CHUKU}");
    assert!(text.contains(&format!("href=\"{resource}#days\"")), "{text}");
    let numbers = browser.get(&resource).await;
    assert_eq!(numbers.status, 200, "{}", numbers.text);
    for part in [
        "<path class=\"c0\" d=\"M290 0h9v100h-9z\"/>",
        "<th scope=\"col\">240</th><th scope=\"col\">239</th><th scope=\"col\">Total</th>",
        "<tr><th scope=\"row\">2026-03-03</th><td>1</td><td>1</td><td>2</td></tr>\n\
         <tr><th scope=\"row\">2026-03-02</th><td>0</td><td>2</td><td>2</td></tr>",
    ] {
        assert!(numbers.text.contains(part), "{part} is not in {}", numbers.text);
    }
    // The app itself has no release, so the page has no section for it.
    assert_eq!(text.matches("<svg class=\"days\"").count(), 1);
    for forbidden in ["style=", "<script>", "onload"] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }

    browser.headers = vec![("accept-language".to_owned(), "zh-CN".to_owned())];
    let page = browser.get(&path).await;
    for part in ["<h3>每日已安装版本</h3>", "单日最多设备数： 2", "每日数字<span"] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
}
