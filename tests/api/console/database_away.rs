//! Pages while the database is unavailable: they show what the memory of the node has, and say so.

use chrono::TimeDelta;
use serde_json::json;
use slipway::clock::Clock as _;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::postgres::PostgresServer;
use slipway_test_support::wait::until;

use super::browser::{Browser, Page};
use crate::api::harness::{
    ADMIN, CHUKU, DEADLINE, PACKAGE, PASSWORD, TENANT, TestApp, in_app, in_tenant, release_fields, with,
};
use crate::api::operations::make_person;

/// Targeting of the published release.
const TARGETING: &str = "HM except HM-BJ, type 10013, 5% of stores";

/// People on a node with a catalog in memory.
struct People {
    platform: Browser,
    viewer: Browser,
    /// Of another tenant.
    stranger: Browser,
}

async fn people(app: &TestApp) -> People {
    let merchant = app.merchant().await;
    let targeted = with(
        release_fields(CHUKU, 240),
        json!({"publish": true, "org_scopes": [{"l1Code": "HM"}],
            "org_exclusions": [{"l1Code": "HM", "l2Code": "HM-BJ"}], "device_types": ["10013"],
            "rollout": {"percent": 5, "unit": "l3"}}),
    );
    let created = merchant
        .admin
        .post(&in_app("/releases"), &targeted)
        .await
        .expect(201);
    assert_eq!(created["targeting"], TARGETING);
    // A long number, which no random token of a page contains.
    merchant.draft(CHUKU, 987_654_321).await;
    let nodes = json!({"nodes": [{"path": ["HM", "HM-SH", "8007"]}]});
    merchant
        .admin
        .put(&in_tenant("/org-directory"), &nodes)
        .await
        .expect(200);
    make_person(&merchant.admin, TENANT, "viewer", "viewer").await;
    let other = app.tenant_admin(TENANT + 1).await;
    make_person(&other, TENANT + 1, "stranger", "viewer").await;
    People {
        platform: Browser::signed_in(app, ADMIN, PASSWORD).await,
        viewer: Browser::signed_in(app, "viewer", PASSWORD).await,
        stranger: Browser::signed_in(app, "stranger", PASSWORD).await,
    }
}

fn assert_from_memory(page: &Page, path: &str, expected: &[&str]) {
    assert_eq!(page.status, 503, "{path}: {}", page.text);
    for text in expected
        .iter()
        .chain(&["In the memory of this node", "Last sync"])
    {
        assert!(
            page.text.contains(text),
            "{path}: {text} is missing in {}",
            page.text
        );
    }
    assert!(!page.header("retry-after").is_empty(), "{path}");
}

/// Opens the pages of a tenant that memory has something of.
async fn see_memory(people: &mut People) {
    let tenant = format!("/console/tenants/{TENANT}");
    let app = format!("{tenant}/apps/{PACKAGE}");
    for path in [
        tenant.clone(),
        format!("{tenant}/apps"),
        format!("{tenant}/pushes"),
    ] {
        let link = format!("href=\"{app}\"");
        assert_from_memory(&people.viewer.get(&path).await, &path, &[&link]);
        assert_from_memory(&people.platform.get(&path).await, &path, &[&link]);
        let strange = people.stranger.get(&path).await;
        assert_eq!(strange.status, 503);
        assert!(!strange.text.contains(PACKAGE), "{path}: {}", strange.text);
    }
    let page = people.viewer.get(&app).await;
    assert_from_memory(&page, &app, &[CHUKU, "240", TARGETING]);
    assert!(
        !page.text.contains("987654321"),
        "a draft is not in memory: {}",
        page.text
    );
    let strange = people.stranger.get(&app).await;
    assert!(!strange.text.contains(CHUKU), "{}", strange.text);
    let absent = format!("{tenant}/apps/com.example.absent");
    let page = people.viewer.get(&absent).await;
    assert_from_memory(&page, &absent, &["This is not in the memory of this node."]);
    let page = people.platform.get("/console").await;
    assert_from_memory(&page, "/console", &[&format!("href=\"{tenant}\"")]);
    let page = people.viewer.get(&app.replace("apps", "devices")).await;
    let form = format!("action=\"{tenant}/explain#explanation\"");
    assert_from_memory(&page, "a device", &[&form, &format!("value=\"{PACKAGE}\"")]);
}

/// Explains a check from memory.
async fn explain(browser: &mut Browser, tenant: i64) -> Page {
    let fields = [
        ("package_name", PACKAGE),
        ("version_code", "50"),
        ("device_id", "PDA001"),
        ("device_type", "10014"),
        ("org_info", r#"{"l3Code":"8007"}"#),
    ];
    browser
        .post(&format!("/console/tenants/{tenant}/explain"), &fields)
        .await
}

async fn see_explanations(people: &mut People) {
    let page = people
        .viewer
        .get(&format!("/console/tenants/{TENANT}/explain"))
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.text.contains("The database does not answer."),
        "{}",
        page.text
    );
    let page = explain(&mut people.viewer, TENANT).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for text in [
        "In the memory of this node",
        "the release is for type 10013; the device has type 10014",
    ] {
        assert!(page.text.contains(text), "{}", page.text);
    }
    let page = explain(&mut people.stranger, TENANT).await;
    assert_eq!(page.status, 404, "{}", page.text);
}

async fn pages_show_what_memory_has(database: TestDatabase) {
    // The connection that the catalog syncs over stays open here: it must not compare after the clock was set.
    let app = TestApp::start_with(database, |config| config.poll_interval_ms = 60_000).await;
    let mut people = people(&app).await;
    let mut late = people.viewer.clone();
    app.running.context.db().clone().close().await.unwrap();
    see_memory(&mut people).await;
    see_explanations(&mut people).await;

    // A form changes nothing, and somebody without a session sees numbers only.
    let fields = [("package_name", "com.new"), ("app_name", "New")];
    let path = format!("/console/tenants/{TENANT}/apps");
    let refused = people.platform.post(&path, &fields).await;
    assert_from_memory(&refused, &path, &[PACKAGE]);
    let page = Browser::new(&app).get(&path).await;
    assert_eq!((page.status, page.location().contains("sign-in")), (303, true));
    let unknown = people.viewer.cookies.clone();
    people.viewer.post("/console/sign-out", &[]).await;
    people.viewer.cookies = unknown;
    let page = people.viewer.get(&path).await;
    assert_eq!(page.status, 503);
    assert!(!page.text.contains(PACKAGE), "{}", page.text);

    // Somebody may have ended the session elsewhere meanwhile.
    app.clock.set(app.clock.now() + TimeDelta::minutes(16));
    let page = late.get(&path).await;
    assert_eq!(page.status, 503);
    assert!(!page.text.contains(PACKAGE), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_whole_again_when_the_database_is_back() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let app = TestApp::start(TestDatabase::of(&server).await).await;
    let mut people = people(&app).await;
    let server = tokio::task::spawn_blocking(|| {
        server.stop();
        server
    });
    let server = server.await.unwrap();
    see_memory(&mut people).await;
    see_explanations(&mut people).await;
    let server = tokio::task::spawn_blocking(|| {
        server.start_again();
        server
    });
    let _server = server.await.unwrap();
    until("the page is whole", DEADLINE, async || {
        let page = people.viewer.get(&format!("/console/tenants/{TENANT}")).await;
        page.status == 200
    })
    .await;
}

on_both_databases!(pages_show_what_memory_has);
