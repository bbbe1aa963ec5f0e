//! Pages: their headers, size and language, and texts that contain markup.

use chrono::TimeDelta;
use serde_json::json;
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::count_due;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::objects::Objects;
use super::roles::pages;
use crate::api::harness::{
    ADMIN, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, check_fields, in_tenant, push_fields,
    release_fields, with,
};

/// Maximum size of a page with its style sheet and script, in bytes.
const BUDGET: usize = 60 * 1024;

fn assert_page(page: &Page, path: &str) {
    assert_eq!(page.status, 200, "{path}: {}", page.text);
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-store");
    for (mark, times) in [("<h1>", 1), ("<main ", 1), ("<title>", 1), ("<html lang=", 1)] {
        assert_eq!(page.text.matches(mark).count(), times, "{path}: {mark}");
    }
    for forbidden in [
        "<script>",
        " style=",
        " onclick=",
        "javascript:",
        "src=\"http",
        "href=\"http",
    ] {
        assert!(!page.text.contains(forbidden), "{path} has {forbidden}");
    }
}

async fn pages_are_complete_small_and_load_nothing_from_elsewhere(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    browser.headers = vec![("accept-encoding".to_owned(), "gzip".to_owned())];
    let first = browser.get("/console/help").await;
    // A page contains the token of the session beside text that others can choose (BREACH).
    assert_eq!(first.header("content-encoding"), "");
    browser.headers.clear();
    let assets = bytes_of_assets(&mut browser).await;
    for path in pages() {
        let path = format!("/console{}", objects.fill(path));
        let page = browser.get(&path).await;
        assert_page(&page, &path);
        assert!(
            page.text.len() + assets <= BUDGET,
            "{path}: {} bytes and {assets}",
            page.text.len()
        );
    }
}

/// Returns the number of bytes of the style sheet and the script.
async fn bytes_of_assets(browser: &mut Browser) -> usize {
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

async fn the_language_is_that_of_the_browser_until_another_is_chosen(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    assert!(browser.get("/console").await.text.contains("<html lang=\"en\">"));
    browser.headers = vec![("accept-language".to_owned(), "zh-CN,zh;q=0.9,en;q=0.8".to_owned())];
    let page = browser.get("/console").await;
    assert!(
        page.text.contains("<html lang=\"zh\">") && page.text.contains("租户"),
        "{}",
        page.text
    );
    let chosen = browser
        .post(
            "/console/language",
            &[("language", "en"), ("return", "/console/account")],
        )
        .await;
    assert_eq!((chosen.status, chosen.location()), (303, "/console/account"));
    assert!(browser.get("/console").await.text.contains("<html lang=\"en\">"));
}

/// Text that is markup, an attribute, and a template at once.
const HOSTILE: &str = "\"><img src=x onerror=alert(1)>'{{7*7}}&amp;";

async fn every_text_is_escaped(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    platform
        .post("/api/v1/tenants", &json!({"id": TENANT, "name": HOSTILE}))
        .await
        .expect(201);
    let base = format!("/api/v1/tenants/{TENANT}");
    let post = async |path: &str, body: serde_json::Value| {
        let made = platform.post(&format!("{base}{path}"), &body).await;
        assert!((200..300).contains(&made.status), "{path}: {}", made.text);
        made.body
    };
    post(
        "/apps",
        json!({"package_name": "com.example", "app_name": HOSTILE}),
    )
    .await;
    let release = with(
        release_fields("com.example", 1),
        json!({"version_name": HOSTILE, "update_desc": HOSTILE, "device_types": [HOSTILE],
            "org_scopes": [{"l1Code": HOSTILE}], "config_json": {"text": HOSTILE}, "publish": true,
            "attribute_rules": [{"name": HOSTILE, "op": "eq", "value": HOSTILE}]}),
    );
    let release = post("/apps/com.example/releases", release).await;
    let recall = json!({"mode": "stop", "reason": HOSTILE});
    let release = release["id"].as_str().unwrap();
    post(&format!("/apps/com.example/releases/{release}/recall"), recall).await;
    post(
        "/devices",
        json!({"devices": [{"device_id": HOSTILE, "project_id": HOSTILE, "device_type": HOSTILE}]}),
    )
    .await;
    let pin = json!({"package_name": "com.example", "identifier": "com.example", "device_id": HOSTILE, "mode": "hold",
        "reason": HOSTILE});
    platform.put(&format!("{base}/pins"), &pin).await.expect(200);
    post("/api-tokens", json!({"name": HOSTILE, "role": "viewer"})).await;
    let push = json!({"target_info": [{"hardware_id": HOSTILE, "project_id": HOSTILE}], "action": HOSTILE,
        "package_push_info": {"app_id": HOSTILE, "app_type": HOSTILE, "pack_url": "https://files.example/<b>\"x"}});
    let push = post("/pushes", push).await;
    let org = json!({"nodes": [{"path": [HOSTILE], "name": HOSTILE}]});
    platform
        .put(&format!("{base}/org-directory"), &org)
        .await
        .expect(200);

    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let device = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    let paths = [
        "/console".to_owned(),
        tenant.clone(),
        format!("{tenant}/apps"),
        format!("{tenant}/apps/com.example"),
        format!("{tenant}/apps/com.example/releases/{release}"),
        format!("{tenant}/devices"),
        format!("{tenant}/devices/{device}"),
        format!("{tenant}/pins"),
        format!("{tenant}/tokens"),
        format!("{tenant}/pushes"),
        format!("{tenant}/pushes/{}", push["id"].as_str().unwrap()),
        format!("{tenant}/org"),
        format!("{tenant}/settings"),
        format!("{tenant}/audit"),
        format!("{tenant}/search?q={device}"),
        format!("{tenant}/pushes?trace_id={device}"),
        format!("{tenant}/audit?actor_name={device}"),
    ];
    for path in paths {
        let page = browser.get(&path).await;
        if page.status == 303 {
            continue;
        }
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(
            !page.text.contains("<img") && !page.text.contains("<b>\"x"),
            "{path}: {}",
            page.text
        );
        assert!(!page.text.contains(HOSTILE), "{path}: {}", page.text);
    }
    // A form shows refused input again.
    let page = browser
        .post(
            &format!("{tenant}/apps"),
            &[("package_name", HOSTILE), ("app_name", HOSTILE)],
        )
        .await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(
        !page.text.contains("<img") && page.text.contains("&#60;img"),
        "{}",
        page.text
    );
    let csv = browser.get(&format!("{tenant}/org.csv")).await;
    assert!(
        csv.header("content-disposition").starts_with("attachment"),
        "a download is not shown"
    );
}

async fn formulas_are_neutralised_in_downloads(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let formula = "=HYPERLINK(\"http://evil.example\")";
    let org = json!({"nodes": [{"path": ["HM"], "name": formula}]});
    let base = format!("/api/v1/tenants/{TENANT}");
    admin
        .put(&format!("{base}/org-directory"), &org)
        .await
        .expect(200);
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let csv = browser.get(&format!("{tenant}/org.csv")).await.text;
    assert!(csv.contains("\"'=HYPERLINK("), "{csv}");
    // An export can be imported unchanged.
    let etag = browser
        .get(&format!("{tenant}/org"))
        .await
        .hidden("import", "etag")
        .unwrap();
    let page = browser
        .post(&format!("{tenant}/org"), &[("csv", &csv), ("etag", &etag)])
        .await;
    assert_eq!(page.status, 303, "{}", page.text);
    let stored = admin.get(&format!("{base}/org-directory")).await.expect(200);
    assert_eq!(stored["nodes"][0]["name"], formula);

    let audit = browser
        .get(&format!("{tenant}/audit.jsonl?action=org_directory.replace"))
        .await
        .text;
    let events: Vec<serde_json::Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let listed = admin
        .get(&format!("{base}/audit?action=org_directory.replace"))
        .await
        .expect(200);
    assert_eq!(json!(events), listed["items"]);
    assert_eq!(events.len(), 1);
}

on_both_databases!(
    pages_are_complete_small_and_load_nothing_from_elsewhere,
    long_lists_are_cut_and_keep_the_budget,
    a_page_of_an_app_with_many_resources_keeps_the_budget,
    the_language_is_that_of_the_browser_until_another_is_chosen,
    every_text_is_escaped,
    formulas_are_neutralised_in_downloads,
);
