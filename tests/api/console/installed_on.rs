//! Devices on the page of a release.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{
    ADMIN, CHUKU, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, check_fields, in_tenant, with,
};

/// Checks with a version of [`CHUKU`] in a store, and waits until the check is recorded.
async fn check(merchant: &Merchant, device: &str, store: &str, version: i64) {
    let org = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": store});
    let own = json!({"device_id": device, "org_info": org, "old_versions": {CHUKU: version}});
    let fields = with(check_fields(), own);
    merchant.device.post("/v1/check", &fields).await.expect(200);
    let is_recorded = |device: &Value| {
        let installs = device["installs"].as_array().unwrap().iter();
        let mut versions = installs.map(|install| &install["version_code"]);
        versions.any(|found| *found == version)
    };
    let path = in_tenant(&format!("/devices/{device}"));
    merchant.admin.get_once(&path, is_recorded).await;
}

async fn open(browser: &mut Browser, release: &Value) -> Page {
    let id = release["id"].as_str().unwrap();
    let path = format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases/{id}");
    let page = browser.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page
}

async fn a_release_shows_the_devices_and_stores_that_have_it(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let old = merchant.published(CHUKU, 1).await;
    let new = merchant.published(CHUKU, 2).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let page = open(&mut browser, &new).await;
    assert_has(&page, &["that have it: <b>0</b>", "No known device has it."]);
    for (device, store, version) in [
        ("A", "8007", 2),
        ("B", "8007", 2),
        ("C", "9/1", 2),
        ("D", "9002", 1),
    ] {
        check(&merchant, device, store, version).await;
    }
    let page = open(&mut browser, &new).await;
    let filter = format!(
        "/console/tenants/{TENANT}/devices?package_name={PACKAGE}&#38;identifier={CHUKU}&#38;version_code=2"
    );
    assert_has(
        &page,
        &[
            "that have it: <b>3</b>",
            &format!("href=\"{filter}\""),
            &format!(
                "href=\"/console/tenants/{TENANT}/devices/A\">A</a> <span class=\"quiet\">HM/HM-SH/8007<"
            ),
            "Org nodes of these devices (2)",
            &format!(
                "href=\"{filter}&#38;org=HM%2FHM-SH%2F8007\">HM/HM-SH/8007</a> <span class=\"quiet\">2<"
            ),
        ],
    );
    assert!(!page.text.contains("/devices/D\""), "{}", page.text);
    assert!(!page.text.contains("9002"), "{}", page.text);
    // A code with a slash leads to its own node.
    let of_store = format!("{filter}&#38;org=HM%2FHM-SH%2F9%5C%2F1");
    assert_has(&page, &[&format!("href=\"{of_store}\">HM/HM-SH/9\\/1</a>")]);
    let list = browser.get(&of_store.replace("&#38;", "&")).await;
    assert_has(&list, &["/devices/C\">C</a>"]);
    assert!(!list.text.contains("/devices/A\""), "{}", list.text);
    let page = open(&mut browser, &old).await;
    assert_has(&page, &["that have it: <b>1</b>", "/devices/D\">D</a>"]);

    browser.headers = vec![("accept-language".to_owned(), "zh-CN".to_owned())];
    let page = open(&mut browser, &new).await;
    assert_has(
        &page,
        &[
            "最近 30 天内出现且已安装此版本的设备： <b>3</b>",
            "这些设备的组织节点",
        ],
    );
}

on_both_databases!(a_release_shows_the_devices_and_stores_that_have_it,);
