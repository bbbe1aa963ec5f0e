//! Forms that are sent twice, sent for a changed object, or sent with errors, and the stream of a push page.

use reqwest::Method;
use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use super::objects::Objects;
use super::roles::NEW_RELEASE;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp};

struct Fixture {
    app: TestApp,
    objects: Objects,
    browser: Browser,
    tenant: String,
}

impl Fixture {
    async fn make(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let admin = app.tenant_admin(TENANT).await;
        Self {
            objects: Objects::make(&app, &admin, TENANT, 0).await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            tenant: format!("/console/tenants/{TENANT}"),
            app,
        }
    }
}

async fn a_form_that_is_sent_twice_creates_once(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    let page = browser.get(&format!("{path}/new")).await;
    let id = page.hidden("release", "form_id").unwrap();
    let mut fields: Vec<_> = NEW_RELEASE
        .iter()
        .map(|(name, value)| (*name, objects.fill(value)))
        .collect();
    fields.push(("form_id", id));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let (first, second) = (
        browser.post(&path, &fields).await,
        browser.post(&path, &fields).await,
    );
    assert_eq!(first.status, 303, "{}", first.text);
    assert_eq!(
        (second.status, second.location().to_owned()),
        (303, first.location().replace("done=created", "done=exists"))
    );
    assert_eq!(browser.get(first.location()).await.status, 200);

    // A secret is not shown again.
    let keys = format!("{tenant}/keys");
    let id = browser.get(&keys).await.hidden("device-key", "form_id").unwrap();
    let fields = [("name", "handhelds"), ("form_id", id.as_str())];
    let (first, second) = (
        browser.post(&format!("{keys}/device"), &fields).await,
        browser.post(&format!("{keys}/device"), &fields).await,
    );
    assert!(
        first.status == 200 && first.text.contains("slipway_device_"),
        "{}",
        first.text
    );
    assert!(
        second.status == 409 && !second.text.contains("slipway_device_"),
        "{}",
        second.text
    );
    let admin = app.platform_admin().await;
    let listed = admin
        .get(&format!("/api/v1/tenants/{TENANT}/device-keys"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

async fn a_changed_object_is_shown_beside_the_input(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}"));
    let etag = browser.get(&path).await.hidden("change", "etag").unwrap();
    let admin = app.platform_admin().await;
    let api = objects.fill(&format!("/api/v1/tenants/{TENANT}/apps/{{package}}"));
    admin
        .patch(&api, &json!({"app_name": "Theirs"}))
        .await
        .expect(200);
    let update = format!("{path}/update");
    let page = browser
        .post(
            &update,
            &[("app_name", "Mine"), ("enabled", "true"), ("etag", &etag)],
        )
        .await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert!(
        page.text.contains("value=\"Mine\"") && page.text.contains("Theirs"),
        "{}",
        page.text
    );
    assert_eq!(admin.get(&api).await.expect(200)["app_name"], "Theirs");
    // The page has the new tag, so that the user can confirm the change by sending it again.
    let etag = page.hidden("change", "etag").unwrap();
    let page = browser
        .post(
            &update,
            &[("app_name", "Mine"), ("enabled", "true"), ("etag", &etag)],
        )
        .await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(admin.get(&api).await.expect(200)["app_name"], "Mine");
}

async fn mistakes_are_named_at_their_fields_and_the_input_is_kept(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/apps/{{package}}/releases"));
    let mut fields: Vec<_> = NEW_RELEASE.to_vec();
    fields.retain(|(name, _)| *name != "md5" && *name != "version_code");
    fields.extend([("md5", "short"), ("version_code", "0")]);
    let page = browser.post(&path, &fields).await;
    assert_eq!(page.status, 400, "{}", page.text);
    for part in [
        "id=\"release-md5-error\"",
        "id=\"release-version_code-error\"",
        "value=\"short\"",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let csv = "l1,l2\nHM,HM-SH\nHM,HM-SH\n,X\n";
    let page = browser.post(&format!("{tenant}/org"), &[("csv", csv)]).await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(
        page.text.contains("import-csv-error") && page.text.contains("HM,HM-SH"),
        "{}",
        page.text
    );
}

async fn a_gateway_request_is_explained_with_the_string_that_it_signs(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let request = objects.fill(
        "app_key=1&method=wdk.rexout.resource.list.check&sign=00&v=2.0&package_name={package}&version_code=0&device_id=PDA001",
    );
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", &request)])
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let signed = objects.fill(
        "app_key1device_idPDA001methodwdk.rexout.resource.list.checkpackage_name{package}v2.0version_code0",
    );
    assert!(page.text.contains(&signed), "{}", page.text);
    assert!(page.text.contains("id=\"explanation\""), "{}", page.text);
    let native =
        objects.fill("{\"package_name\": \"{package}\", \"version_code\": 0, \"device_id\": \"PDA001\"}");
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", &native)])
        .await;
    assert!(
        page.status == 200 && page.text.contains("id=\"explanation\""),
        "{}",
        page.text
    );
    let page = browser
        .post(&format!("{tenant}/explain/request"), &[("request", "{")])
        .await;
    assert_eq!(page.status, 400, "{}", page.text);
}

async fn the_states_of_a_push_are_live_while_the_session_lasts(database: TestDatabase) {
    let Fixture {
        objects,
        mut browser,
        tenant,
        app: _app,
    } = Fixture::make(database).await;
    let path = objects.fill(&format!("{tenant}/pushes/{{push}}"));
    let page = browser.get(&path).await;
    let (_, events) = page.text.split_once("data-events=\"").unwrap();
    let (events, _) = events.split_once('"').unwrap();
    let mut stream = browser.open(events).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let page = browser.post(&format!("{path}/withdraw"), &[]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    until_changed(&mut stream).await;
    // A browser that reconnects learns of the change that it missed.
    until_changed(&mut browser.open(events).await).await;
    assert_eq!(browser.post("/console/sign-out", &[]).await.status, 303);
    while stream.chunk().await.unwrap().is_some() {}
}

/// Reads a stream up to the event of a change.
async fn until_changed(stream: &mut reqwest::Response) {
    let mut events = String::new();
    while !events.contains("event: changed") {
        let piece = stream.chunk().await.unwrap().expect("the stream is open");
        events.push_str(std::str::from_utf8(&piece).unwrap());
    }
}

async fn a_missing_page_is_a_page(database: TestDatabase) {
    let Fixture {
        mut browser,
        app: _app,
        ..
    } = Fixture::make(database).await;
    for path in [
        "/console/nowhere",
        "/console/tenants/1/apps",
        "/console/tenants/x",
    ] {
        let page = browser.send(Method::GET, path, &[], &[]).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(
            page.text.contains("<h1>") && page.header("content-type").starts_with("text/html"),
            "{path}"
        );
    }
}

on_both_databases!(
    a_form_that_is_sent_twice_creates_once,
    a_changed_object_is_shown_beside_the_input,
    mistakes_are_named_at_their_fields_and_the_input_is_kept,
    a_gateway_request_is_explained_with_the_string_that_it_signs,
    the_states_of_a_push_are_live_while_the_session_lasts,
    a_missing_page_is_a_page,
);
