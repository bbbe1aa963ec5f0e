//! Sizes of pages: of long lists, and of objects with much to show.

use chrono::TimeDelta;
use serde_json::{Value, json};
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::count_due;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use crate::api::harness::{
    ADMIN, Answer, Caller, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, check_fields, in_tenant,
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
const MANY: usize = 52;

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

/// Apps of the device.
const APPS: usize = 12;

fn long(number: usize, letter: &str) -> String {
    format!("{number:03}{}", letter.repeat(125))
}

fn package(number: usize) -> String {
    format!("com.example.{number:03}{}", "p".repeat(110))
}

async fn make(caller: &Caller, path: &str, body: Value) -> Value {
    let made = caller.post(path, &body).await;
    assert!((200..300).contains(&made.status), "{path}: {}", made.text);
    made.body
}

/// Fills each list of a tenant, and those of the platform.
async fn fill(app: &TestApp, merchant: &Merchant) -> (String, String) {
    let admin = &merchant.admin;
    let platform = app.platform_admin().await;
    let org: Vec<_> = (0..5).map(|level| long(level, "o")).collect();
    admin
        .put(
            &in_tenant("/org-directory"),
            &json!({"nodes": [{"path": [org[0]]}]}),
        )
        .await
        .expect(200);
    let scopes: Vec<_> = (0..8)
        .map(|number| json!({"l1Code": "HM", "l2Code": format!("HM-{number}")}))
        .collect();
    let targeting = json!({"org_scopes": scopes, "device_types": ["10013", "10021"], "rollout": {"percent": 12.5, "unit": "l3"},
        "publish": true, "update_desc": "x".repeat(400)});
    let mut release = Value::Null;
    for number in 0..MANY {
        let name = package(number);
        make(
            admin,
            &in_tenant("/apps"),
            json!({"package_name": name, "app_name": long(number, "a")}),
        )
        .await;
        let releases = in_tenant(&format!("/apps/{name}/releases"));
        if number < APPS {
            release = make(
                admin,
                &releases,
                with(release_fields(&name, 1), targeting.clone()),
            )
            .await;
        }
        let first = in_tenant(&format!("/apps/{}/releases", package(0)));
        let version = i64::try_from(number).unwrap() + 2;
        make(
            admin,
            &first,
            with(release_fields(&package(0), version), targeting.clone()),
        )
        .await;
        for (list, body) in [
            (
                "/users",
                json!({"username": long(number, "u"), "password": PASSWORD, "role": "viewer"}),
            ),
            (
                "/api-tokens",
                json!({"name": long(number, "t"), "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"}),
            ),
            ("/app-keys", json!({"name": long(number, "k"), "role": "device"})),
            ("/device-keys", json!({"name": long(number, "k")})),
            (
                "/pushes",
                with(push_fields(&["d"]), json!({"trace_id": long(number, "c")})),
            ),
        ] {
            make(admin, &in_tenant(list), body).await;
        }
        let pin = json!({"package_name": package(0), "identifier": package(0), "mode": "ceiling", "version_code": 2,
            "org_path": [org[0], org[1], org[2], org[3], format!("{number}")], "reason": "r".repeat(500)});
        let stored = admin.put(&in_tenant("/pins"), &pin).await;
        assert!((200..300).contains(&stored.status), "{}", stored.text);
        let file = admin
            .request(reqwest::Method::POST, &in_tenant("/artifacts"))
            .body(format!("file {number}"));
        Answer::read(file.send().await.unwrap()).await.expect(201);
        make(
            &platform,
            "/api/v1/tenants",
            json!({"id": 70_000_000 + number, "name": long(number, "n")}),
        )
        .await;
        let person = json!({"username": format!("p{}", &long(number, "u")[1..]), "password": PASSWORD});
        make(&platform, "/api/v1/users", person).await;
        make(
            &platform,
            "/api/v1/api-tokens",
            json!({"name": long(number, "t")}),
        )
        .await;
    }
    let device = long(0, "d");
    for number in 0..APPS {
        let own = json!({"package_name": package(number), "version_code": 1, "device_id": device});
        merchant
            .device
            .post("/v1/check", &with(check_fields(), own))
            .await
            .expect(200);
    }
    let all = |found: &Value| found["installs"].as_array().unwrap().len() >= APPS;
    admin
        .get_once(&in_tenant(&format!("/devices/{device}")), all)
        .await;
    (release["id"].as_str().unwrap().to_owned(), device)
}

async fn full_lists_of_long_values_keep_the_budget(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["d"]).await;
    let merchant = Merchant {
        admin: app.pipeline(&merchant.admin, "admin").await,
        ..merchant
    };
    let (release, device) = fill(&app, &merchant).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let assets = bytes_of_assets(&mut browser).await;
    let mut sizes = Vec::new();
    for language in ["en", "zh"] {
        browser.headers = vec![("accept-language".to_owned(), language.to_owned())];
        for end in [
            String::new(),
            "/apps".to_owned(),
            format!("/apps/{}", package(0)),
            format!("/apps/{}/resources/{}", package(0), package(0)),
            format!("/apps/{}/releases/{release}", package(APPS - 1)),
            format!("/apps/{}/releases/new", package(0)),
            "/artifacts".to_owned(),
            "/devices".to_owned(),
            format!("/devices/{device}"),
            format!("/devices/{device}?app={}", package(APPS - 1)),
            "/explain".to_owned(),
            "/org".to_owned(),
            "/pushes".to_owned(),
            "/pins".to_owned(),
            "/people".to_owned(),
            "/keys".to_owned(),
            "/tokens".to_owned(),
            "/audit".to_owned(),
            "/settings".to_owned(),
            "/search?q=com".to_owned(),
        ] {
            sizes.push((format!("/console/tenants/{TENANT}{end}"), language, 0));
        }
        for path in ["/console", "/console/people", "/console/tokens", "/console/audit"] {
            sizes.push((path.to_owned(), language, 0));
        }
    }
    for (path, language, size) in &mut sizes {
        browser.headers = vec![("accept-language".to_owned(), (*language).to_owned())];
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        *size = page.text.len() + assets;
    }
    sizes.retain(|(_, _, size)| *size > BUDGET);
    assert!(sizes.is_empty(), "pages above {BUDGET} bytes: {sizes:#?}");
    let tenant = format!("/console/tenants/{TENANT}");
    for list in ["/people", "/tokens", "/keys", "/pins"] {
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
    full_lists_of_long_values_keep_the_budget,
);
