//! Sizes of pages: of long lists, and of objects with much to show.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::count_due;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use crate::api::harness::{
    ADMIN, Answer, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, app_fields, check_fields, in_app, in_tenant,
    push_fields, release_fields, with,
};

/// Maximum size of a page with its style sheet and script, in bytes.
pub(super) const BUDGET: usize = 60 * 1024;

/// Returns the number of bytes of the style sheet and the script.
pub(super) async fn bytes_of_assets(browser: &mut Browser) -> usize {
    let mut assets = 0;
    let page = browser.get("/console/help").await;
    for mark in ["href=\"/console/assets/", "src=\"/console/assets/"] {
        for path in page
            .text
            .split(mark)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            let asset = browser.get(&format!("/console/assets/{path}")).await;
            assert_eq!(asset.status, 200, "{path}");
            assets += asset.text.len();
        }
    }
    assets
}

/// More rows than a page shows.
const MANY: usize = 60;

async fn long_lists_are_cut_and_keep_the_budget(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let ids: Vec<_> = (0..MANY).map(|number| format!("device-{number:03}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    merchant.know(&ids).await;
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &push_fields(&ids))
        .await
        .expect(201);
    for number in 0..MANY {
        let version = i64::try_from(number).unwrap() + 1;
        merchant.published(&format!("{PACKAGE}.module"), version).await;
    }
    let nodes: Vec<_> = ids.iter().map(|id| json!({"path": [id], "name": id})).collect();
    let org = in_tenant("/org-directory");
    merchant
        .admin
        .put(&org, &json!({ "nodes": nodes }))
        .await
        .expect(200);
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let assets = bytes_of_assets(&mut browser).await;
    let tenant = format!("/console/tenants/{TENANT}");
    for path in [
        format!("{tenant}/pushes/{}", push["id"].as_str().unwrap()),
        format!("{tenant}/apps/{PACKAGE}/resources/{PACKAGE}.module"),
        format!("{tenant}/devices"),
        format!("{tenant}/org"),
    ] {
        let page = browser.get(&path).await;
        let bytes = page.text.len();
        assert!(bytes + assets <= BUDGET, "{path}: {bytes} bytes and {assets}");
        assert_eq!(rows(&page), 50, "{path}");
        let (_, next) = page.text.split_once("rel=\"next\" href=\"").expect(&path);
        let (next, _) = next.split_once('"').unwrap();
        let next = browser.get(&next.replace("&#38;", "&")).await;
        assert_eq!(rows(&next), MANY - 50, "{path}");
    }
}

/// Number of resources of a large app.
const RESOURCES: usize = 12;
/// Number of resources on the page of an app.
const SHOWN: usize = 5;

async fn a_page_of_an_app_with_many_resources_keeps_the_budget(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let merchant = Merchant {
        admin: app.pipeline(&merchant.admin, "admin").await,
        ..merchant
    };
    let names: Vec<_> = (0..RESOURCES)
        .map(|number| format!("{PACKAGE}.module{number:02}"))
        .collect();
    let targeting = json!({"org_scopes": [{"l1Code": "HM", "l2Code": "HM-SH"}, {"l1Code": "HM", "l2Code": "HM-GZ"}],
        "org_exclusions": [{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}],
        "device_types": ["10013", "10021"], "rollout": {"percent": 12.5, "unit": "l3"}});
    for name in &names {
        for version in 1..=6 {
            merchant.published_with(name, version, targeting.clone()).await;
        }
    }
    for version in 1..=6 {
        let installed: serde_json::Map<_, _> =
            names.iter().map(|name| (name.clone(), json!(version))).collect();
        let own = json!({"device_id": format!("PDA{version}"), "old_versions": installed});
        let fields = with(check_fields(), own);
        merchant.device.post("/v1/check", &fields).await.expect(200);
        let path = in_tenant(&format!("/devices/PDA{version}"));
        let is_recorded =
            |device: &serde_json::Value| device["installs"].as_array().unwrap().len() > RESOURCES;
        merchant.admin.get_once(&path, is_recorded).await;
    }
    // Every day has a number for each version.
    let first = app.clock.now();
    for day in 0..30 {
        app.clock.set(first + TimeDelta::days(day));
        count_due(&app.running.context, "this test")
            .await
            .unwrap()
            .unwrap();
    }
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let assets = bytes_of_assets(&mut browser).await;
    let mut next = Some(format!("/console/tenants/{TENANT}/apps/{PACKAGE}"));
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        let bytes = page.text.len();
        assert!(bytes + assets <= BUDGET, "{path}: {bytes} bytes and {assets}");
        let shown: Vec<_> = names
            .iter()
            .filter(|name| page.text.contains(&format!("<code>{name}</code>")))
            .cloned()
            .collect();
        assert!(shown.len() <= SHOWN, "{path}: {shown:?}");
        for mark in ["<svg class=\"days\"", "<svg class=\"stack\"", "All releases<"] {
            assert_eq!(page.text.matches(mark).count(), shown.len(), "{path}: {mark}");
        }
        seen.extend(shown);
        let link = page.text.split_once("rel=\"next\" href=\"");
        next = link.map(|(_, rest)| rest.split('"').next().unwrap().replace("&#38;", "&"));
    }
    assert_eq!(seen, names, "every resource is on one page");
    let path = format!("/console/tenants/{TENANT}/apps/{PACKAGE}/resources/{}", names[11]);
    let page = browser.get(&path).await;
    let bytes = page.text.len();
    assert!(bytes + assets <= BUDGET, "{path}: {bytes} bytes and {assets}");
    assert_eq!(rows(&page), 6 + 30, "releases and days: {}", page.text);
}

/// Returns the number of rows that link to a device, a release or a node.
fn rows(page: &Page) -> usize {
    page.text.matches("<tr><th scope=\"row\">").count() + page.text.matches("/releases/0").count()
}

/// Makes more of everything that has a list than a page shows, with names and reasons as people write them.
async fn fill_lists(app: &TestApp, merchant: &Merchant) {
    let platform = app.platform_admin().await;
    let admin = &merchant.admin;
    let post = async |path: &str, body: Value| {
        let made = platform.post(path, &body).await;
        assert!((200..300).contains(&made.status), "{path}: {}", made.text);
    };
    merchant.published(&format!("{PACKAGE}.module"), 1).await;
    for number in 0..MANY {
        let name = format!("a name of forty letters and digits {number:05}");
        let user = json!({"username": format!("firstname.lastname-{number:03}"), "password": PASSWORD, "role": "publisher"});
        post(&in_tenant("/users"), user).await;
        post(
            "/api/v1/users",
            json!({"username": format!("platform.admin-{number:03}"), "password": PASSWORD}),
        )
        .await;
        post(
            "/api/v1/tenants",
            json!({"id": 20_000_000 + number, "name": name}),
        )
        .await;
        post("/api/v1/api-tokens", json!({"name": name})).await;
        post(
            &in_tenant("/api-tokens"),
            json!({"name": name, "role": "publisher"}),
        )
        .await;
        post(&in_tenant("/device-keys"), json!({"name": name})).await;
        post(&in_tenant("/app-keys"), json!({"name": name, "role": "device"})).await;
        let package = format!("com.example.department.product{number:03}");
        post(&in_tenant("/apps"), app_fields(&package)).await;
        let device = format!("device-of-a-store-{number:03}");
        post(
            &in_tenant("/devices"),
            json!({"devices": [{"device_id": device, "project_id": "stores", "device_type": "10013",
                "org_info": [{"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}]}]}),
        )
        .await;
        let pin = json!({"package_name": PACKAGE, "identifier": format!("{PACKAGE}.module"), "device_id": device,
            "mode": "exact", "version_code": 1, "reason": "the printer of this store needs the driver of version 1"});
        admin.put(&in_tenant("/pins"), &pin).await.expect(200);
        post(&in_tenant("/pushes"), push_fields(&[&device])).await;
        let upload = admin.request(Method::POST, &in_tenant("/artifacts"));
        let stored = Answer::read(upload.body(format!("file {number}")).send().await.unwrap()).await;
        stored.expect(201);
    }
    let installed: serde_json::Map<_, _> = (0..MANY)
        .map(|number| (format!("{PACKAGE}.module{number:03}"), json!(1)))
        .collect();
    for number in 0..MANY {
        let release = release_fields(&format!("{PACKAGE}.module{number:03}"), 1);
        post(&in_app("/releases"), with(release, json!({"publish": true}))).await;
    }
    let own = json!({"device_id": "device-of-a-store-000", "old_versions": installed});
    let fields = with(check_fields(), own);
    merchant.device.post("/v1/check", &fields).await.expect(200);
    let is_recorded = |device: &Value| device["installs"].as_array().unwrap().len() >= MANY;
    admin
        .get_once(&in_tenant("/devices/device-of-a-store-000"), is_recorded)
        .await;
}

async fn every_list_keeps_the_budget(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    fill_lists(&app, &merchant).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let assets = bytes_of_assets(&mut browser).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let lists = [
        "",
        "/apps",
        "/artifacts",
        "/audit",
        "/devices",
        "/keys",
        "/people",
        "/pins",
        "/pushes",
        "/tokens",
        "/search?q=a",
        "/devices/device-of-a-store-000",
    ];
    let lists = lists.map(|list| format!("{tenant}{list}"));
    let platform = ["", "/audit", "/people", "/tokens"].map(|list| format!("/console{list}"));
    let mut faults = Vec::new();
    for path in lists.iter().chain(&platform) {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        let bytes = page.text.len() + assets;
        if bytes > BUDGET {
            faults.push(format!("{path} has {bytes} bytes"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    for list in ["/people", "/tokens", "/keys"] {
        opens_the_forms_of_one_row(&mut browser, &format!("{tenant}{list}")).await;
    }
}

/// The forms of all rows would make the page large.
async fn opens_the_forms_of_one_row(browser: &mut Browser, list: &str) {
    let page = browser.get(list).await;
    assert_eq!(page.text.matches("/delete\"").count(), 0, "{list}");
    let (_, link) = page.text.split_once(&format!("{list}?change=")).expect(list);
    let (id, _) = link.split_once('#').unwrap();
    let opened = browser.get(&format!("{list}?change={id}")).await;
    assert_eq!(opened.text.matches("/delete\"").count(), 1, "{list}");
    assert!(opened.text.contains(&format!("{id}/delete\"")), "{}", opened.text);
    assert!(
        opened.text.contains(&format!("<tr id=\"{id}\">")),
        "{}",
        opened.text
    );
}

on_both_databases!(
    long_lists_are_cut_and_keep_the_budget,
    a_page_of_an_app_with_many_resources_keeps_the_budget,
    every_list_keeps_the_budget,
);
