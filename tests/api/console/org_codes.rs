//! Org codes that contain a slash or a backslash, in links, filters and imports.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, Caller, PASSWORD, TENANT, TestApp, in_tenant};

/// Store `7\\1` of the region `A/B`, as a page and a query write its path.
const STORE: &str = "HM/A\\/B/7\\\\1";

/// Starts a server with the store, and devices in it and in the node that a split code would name.
async fn start(database: TestDatabase) -> Fixture {
    let app = TestApp::start(database).await;
    let admin = app.merchant().await.admin;
    let nodes = json!({"nodes": [
        {"path": ["HM", "A/B", "7\\1"], "name": "Corner"},
        {"path": ["HM", "A", "B"]},
    ]});
    admin.put(&in_tenant("/org-directory"), &nodes).await.expect(200);
    let browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let mut fixture = Fixture { app, admin, browser };
    let csv = format!("in-store,stores,,{STORE}\nelsewhere,stores,,HM/A/B\n");
    let devices = path("/devices");
    let imported = fixture.browser.post(&devices, &[("csv", &csv)]).await;
    assert_eq!(imported.status, 303, "{}", imported.text);
    fixture
}

struct Fixture {
    #[expect(dead_code, reason = "the server stops with it")]
    app: TestApp,
    admin: Caller,
    browser: Browser,
}

fn path(rest: &str) -> String {
    format!("/console/tenants/{TENANT}{rest}")
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn assert_only_in_store(page: &Page) {
    assert_has(page, &["/devices/in-store\""]);
    assert!(!page.text.contains("/devices/elsewhere\""), "{}", page.text);
}

async fn a_device_is_imported_into_the_node_and_found_there(database: TestDatabase) {
    let fixture = start(database).await;
    let device = fixture
        .admin
        .get(&in_tenant("/devices/in-store"))
        .await
        .expect(200);
    let org = json!([{"l1Code": "HM", "l2Code": "A/B", "l3Code": "7\\1"}]);
    assert_eq!(device["org_info"], org);
    for (node, found) in [
        (STORE, "in-store"),
        ("HM/A\\/B", "in-store"),
        ("HM/A/B", "elsewhere"),
    ] {
        let query = format!("/devices?org={}", encoded(node));
        let devices = fixture.admin.get(&in_tenant(&query)).await.expect(200);
        let ids: Vec<_> = devices["items"].as_array().unwrap().iter().collect();
        assert_eq!(ids.len(), 1, "{node}: {devices}");
        assert_eq!(ids[0]["device_id"], found, "{node}");
    }
}

async fn links_lead_to_the_node(database: TestDatabase) {
    let mut fixture = start(database).await;
    let page = fixture.browser.get(&path("/org?path=HM")).await;
    let region = path(&format!("/org?path={}", encoded("HM/A\\/B")));
    assert_has(&page, &[&format!("href=\"{region}\">A/B</a>")]);
    let page = fixture.browser.get(&region).await;
    let devices = path(&format!("/devices?org={}", encoded(STORE)));
    assert_has(&page, &["Corner", &format!("href=\"{devices}\"")]);
    assert_only_in_store(&fixture.browser.get(&devices).await);
    // The trail of a node leads to its ancestors.
    let page = fixture
        .browser
        .get(&path(&format!("/org?path={}", encoded(STORE))))
        .await;
    assert_has(&page, &[&format!("<a href=\"{region}\">A/B</a>")]);
    for text in [STORE, "A\\/B/7\\\\1", "corner"] {
        let page = fixture
            .browser
            .get(&path(&format!("/search?q={}", encoded(text))))
            .await;
        assert_eq!((page.status, page.location()), (303, devices.as_str()), "{text}");
    }
    // The place on the page of the device is the text that the filter takes.
    let page = fixture.browser.get(&path("/devices/in-store")).await;
    assert_has(&page, &[&format!("<dd>{STORE}</dd>")]);
}

on_both_databases!(
    a_device_is_imported_into_the_node_and_found_there,
    links_lead_to_the_node,
);
