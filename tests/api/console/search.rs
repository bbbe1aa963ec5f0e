//! Search from every page: what it finds, and for whom.

use reqwest::Method;
use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{
    ADMIN, Answer, CHUKU, DEADLINE, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, app_fields, in_tenant, md5,
    push_fields, release_fields, sha256,
};
use crate::api::operations::make_person;

/// MD5 of the release of an external URL.
const RELEASE_MD5: &str = "00000000000000000000000000000001";
/// Content of the file of the tenant.
const CONTENT: &[u8] = b"a file";
const STORE: &str = "/devices?org=HM%2FHM-SH%2F8007";

struct Fixture {
    app: TestApp,
    viewer: Browser,
    push: String,
    release: String,
    merchant: Merchant,
}

impl Fixture {
    async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        let admin = &merchant.admin;
        let release = merchant.published(CHUKU, 1).await;
        merchant.know(&["PDA001"]).await;
        let nodes = json!({"nodes": [
            {"path": ["HM"], "name": "Hema"},
            {"path": ["HM", "HM-SH"], "name": "Shanghai"},
            {"path": ["HM", "HM-SH", "8007"], "name": "Xujiahui <1>"},
            {"path": ["HM", "HM-SH", "18007"]},
            {"path": ["HM", "HM-SH", "80070"]},
        ]});
        admin.put(&in_tenant("/org-directory"), &nodes).await.expect(200);
        let request = admin.request(Method::POST, &in_tenant("/artifacts"));
        let stored = request.body(CONTENT).send().await.unwrap();
        Answer::read(stored).await.expect(201);
        let mut push = push_fields(&["PDA001"]);
        push["trace_id"] = json!("trace-7");
        let push = admin.post(&in_tenant("/pushes"), &push).await.expect(201);
        make_person(admin, TENANT, "viewer", "viewer").await;
        Self {
            viewer: Browser::signed_in(&app, "viewer", PASSWORD).await,
            push: push["id"].as_str().unwrap().to_owned(),
            release: release["id"].as_str().unwrap().to_owned(),
            merchant,
            app,
        }
    }

    async fn search(&mut self, text: &str) -> Page {
        search(&mut self.viewer, TENANT, text).await
    }
}

async fn search(browser: &mut Browser, tenant: i64, text: &str) -> Page {
    let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let path = format!("/console/tenants/{tenant}/search?q={query}");
    browser.get(&path).await
}

async fn a_single_result_of_each_kind_is_opened(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    // The memory of the node follows the database.
    let viewer = fixture.viewer.clone();
    let is_loaded = async || search(&mut viewer.clone(), TENANT, CHUKU).await.status == 303;
    until("the resource is in memory", DEADLINE, is_loaded).await;
    let digest = sha256(CONTENT);
    let push = fixture.push.clone();
    let release = format!("/apps/{PACKAGE}/releases/{}", fixture.release);
    let (app, file) = (format!("/apps/{PACKAGE}"), format!("/artifacts/{digest}"));
    let (resource, pushed) = (format!("{app}/resources/{CHUKU}"), format!("/pushes/{push}"));
    for (text, target) in [
        ("com.hema", app.as_str()),
        (PACKAGE, &app),
        (CHUKU, &resource),
        (" com.hema.wms.ch ", &resource),
        ("8007", STORE),
        ("HM-SH/8007", STORE),
        ("HM/HM-SH/8007", STORE),
        ("xujia", STORE),
        (&digest, &file),
        (&digest.to_uppercase(), &file),
        (&md5(CONTENT), &file),
        (&md5(CONTENT).to_uppercase(), &file),
        (RELEASE_MD5, &release),
        ("PDA", "/devices/PDA001"),
        ("trace-7", &pushed),
        (&push, &pushed),
    ] {
        let page = fixture.search(text).await;
        let expected = format!("/console/tenants/{TENANT}{target}");
        assert_eq!(
            (page.status, page.location()),
            (303, expected.as_str()),
            "{text}: {}",
            page.text
        );
    }
    let store = format!("/console/tenants/{TENANT}{STORE}");
    assert_eq!(fixture.viewer.get(&store).await.status, 200);
}

async fn several_results_are_listed_and_case_matters_for_names(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let page = fixture.search("800").await;
    assert_eq!(page.status, 200);
    assert_has(
        &page,
        &[
            "HM/HM-SH/8007 (Xujiahui &#60;1&#62;)</a>",
            ">HM/HM-SH/18007</a>",
            ">HM/HM-SH/80070</a>",
        ],
    );
    for absent in [
        "COM.HEMA",
        "Com.hema.wms.ch",
        "pda",
        "Trace-7",
        "ffffffff",
        &sha256(b"another file"),
        &md5(b"another file"),
    ] {
        let page = fixture.search(absent).await;
        assert_has(&page, &["Nothing found"]);
    }
}

async fn nothing_of_another_tenant_is_found(database: TestDatabase) {
    let fixture = Fixture::start(database).await;
    let other = TENANT + 1;
    let stranger = fixture.app.tenant_admin(other).await;
    make_person(&stranger, other, "stranger", "admin").await;
    let mut browser = Browser::signed_in(&fixture.app, "stranger", PASSWORD).await;
    let digest = sha256(CONTENT);
    let texts = [
        PACKAGE,
        CHUKU,
        "8007",
        "HM/HM-SH/8007",
        &digest,
        &md5(CONTENT),
        RELEASE_MD5,
        "PDA001",
        "trace-7",
        &fixture.push,
    ];
    for text in texts {
        let page = search(&mut browser, other, text).await;
        assert_has(&page, &["Nothing found"]);
        assert_eq!(search(&mut browser, TENANT, text).await.status, 404, "{text}");
    }
    // The platform's administrator finds it.
    let mut admin = Browser::signed_in(&fixture.app, ADMIN, PASSWORD).await;
    assert_eq!(search(&mut admin, TENANT, &digest).await.status, 303);
}

async fn a_resource_without_an_effective_release_is_found(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let part = "com.hema.module";
    let draft = fixture.merchant.draft(part, 9).await;
    let resource = format!("/console/tenants/{TENANT}/apps/{PACKAGE}/resources/{part}");
    for text in [part, "com.hema.mod"] {
        let page = fixture.search(text).await;
        assert_eq!(
            (page.status, page.location()),
            (303, resource.as_str()),
            "{}",
            page.text
        );
    }
    // Nor does its app need one.
    let admin = &fixture.merchant.admin;
    let other = app_fields("com.other");
    admin.post(&in_tenant("/apps"), &other).await.expect(201);
    let drafts = in_tenant("/apps/com.other/releases");
    let fields = release_fields("com.module.label", 8);
    admin.post(&drafts, &fields).await.expect(201);
    let page = fixture.search("com.module.l").await;
    let resource = format!("/console/tenants/{TENANT}/apps/com.other/resources/com.module.label");
    assert_eq!(
        (page.status, page.location()),
        (303, resource.as_str()),
        "{}",
        page.text
    );
    // The app has it, so its page alone is the result.
    let page = fixture.search("com.hema").await;
    let app = format!("/console/tenants/{TENANT}/apps/{PACKAGE}");
    assert_eq!(
        (page.status, page.location()),
        (303, app.as_str()),
        "{}",
        page.text
    );
    // A draft has a digest, which a discarded one frees.
    let digest = format!("{:032x}", 9);
    assert_eq!(fixture.search(&digest).await.status, 303);
    fixture
        .merchant
        .take(&draft, "discard", &json!({}))
        .await
        .expect(200);
    assert_has(&fixture.search(&digest).await, &["Nothing found"]);
}

async fn the_platform_searches_tenants(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let platform = app.platform_admin().await;
    for (id, name) in [(81, "Hema Fresh"), (82, "Fresh & Co"), (9, "Other")] {
        let tenant = json!({"id": id, "name": name});
        platform.post("/api/v1/tenants", &tenant).await.expect(201);
    }
    let mut admin = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let page = admin.get("/console/").await;
    assert_has(&page, &["action=\"/console/search\"", "placeholder=\"Tenant\""]);
    let is_loaded = async || admin.clone().get("/console/search?q=other").await.status == 303;
    until("the tenants are in memory", DEADLINE, is_loaded).await;
    for (text, tenant) in [("hema", 81), ("FRESH+%26", 82), ("82", 82), ("9", 9)] {
        let page = admin.get(&format!("/console/search?q={text}")).await;
        let expected = format!("/console/tenants/{tenant}");
        assert_eq!((page.status, page.location()), (303, expected.as_str()), "{text}");
    }
    let page = admin.get("/console/search?q=8").await;
    assert_has(
        &page,
        &[
            "href=\"/console/tenants/81\">81 (Hema Fresh)</a>",
            ">82 (Fresh &#38; Co)</a>",
            "Open a tenant to search its apps",
        ],
    );
    assert_has(&admin.get("/console/search?q=com.hema").await, &["Nothing found"]);
    admin.headers = vec![("accept-language".to_owned(), "zh-CN".to_owned())];
    assert_has(&admin.get("/console/search?q=8").await, &["需先打开租户再查找"]);
}

on_both_databases!(
    a_resource_without_an_effective_release_is_found,
    the_platform_searches_tenants,
    a_single_result_of_each_kind_is_opened,
    several_results_are_listed_and_case_matters_for_names,
    nothing_of_another_tenant_is_found,
);
