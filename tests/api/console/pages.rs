//! Pages: their headers, size and language, and texts that contain markup.

use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::budget::{BUDGET, bytes_of_assets};
use super::objects::Objects;
use super::roles::pages;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp, release_fields, with};

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
    the_language_is_that_of_the_browser_until_another_is_chosen,
    every_text_is_escaped,
    formulas_are_neutralised_in_downloads,
);
