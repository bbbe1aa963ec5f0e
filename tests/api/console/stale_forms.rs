//! Forms that are sent for an object that somebody else has changed, and forms that are sent twice.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{ADMIN, CHUKU, Caller, PACKAGE, PASSWORD, TENANT, TestApp, path_of};

/// Settings of the tenant in the console.
struct Settings {
    _app: TestApp,
    admin: Caller,
    browser: Browser,
    path: String,
    api: String,
}

/// Fields as a form that was opened before the change of the enrolment has them, with another name.
const ENTERED: [(&str, &str); 2] = [("name", "Mine"), ("enrolment", "key")];

impl Settings {
    async fn open(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        app.tenant_admin(TENANT).await;
        Self {
            admin: app.platform_admin().await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            path: format!("/console/tenants/{TENANT}/settings"),
            api: format!("/api/v1/tenants/{TENANT}"),
            _app: app,
        }
    }

    async fn store(&self, changes: Value) {
        self.admin.patch(&self.api, &changes).await.expect(200);
    }

    async fn stored(&self) -> Value {
        self.admin.get(&self.api).await.expect(200)
    }

    /// Sends the form of a page that was opened before.
    async fn send(&mut self, opened: &Page, entered: &[(&str, &str)]) -> Page {
        let hidden = ["etag", "opened"].map(|name| {
            let value = opened.hidden("settings", name).unwrap();
            (name, value.replace("&#34;", "\""))
        });
        let mut fields: Vec<_> = entered.to_vec();
        fields.extend(hidden.iter().map(|(name, value)| (*name, value.as_str())));
        self.browser.post(&self.path.clone(), &fields).await
    }
}

fn is_selected(page: &Page, value: &str) -> bool {
    page.text.contains(&format!("<option value=\"{value}\" selected"))
}

fn is_ticked(page: &Page, name: &str) -> bool {
    let (_, rest) = page
        .text
        .split_once(&format!("name=\"{name}\" value=\"true\""))
        .unwrap();
    rest.split('>').next().unwrap().contains("checked")
}

async fn an_untouched_field_takes_the_value_that_was_stored_meanwhile(database: TestDatabase) {
    let mut settings = Settings::open(database).await;
    let opened = settings.browser.get(&settings.path.clone()).await;
    assert!(is_selected(&opened, "key"));
    settings.store(json!({"enrolment": "code"})).await;
    let page = settings.send(&opened, &ENTERED).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_has(
        &page,
        &["Somebody saved this after you opened it.", "value=\"Mine\""],
    );
    assert!(is_selected(&page, "code"), "{}", page.text);
    assert!(!page.text.contains("Stored meanwhile:"), "{}", page.text);
    // A browser sends what the page shows.
    let shown = [("name", "Mine"), ("enrolment", "code")];
    let saved = settings.send(&page, &shown).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let stored = settings.stored().await;
    assert_eq!(
        (&stored["name"], &stored["enrolment"]),
        (&json!("Mine"), &json!("code"))
    );
}

async fn a_field_that_both_changed_is_marked(database: TestDatabase) {
    let mut settings = Settings::open(database).await;
    let opened = settings.browser.get(&settings.path.clone()).await;
    settings
        .store(json!({"name": "Theirs", "enrolment": "code"}))
        .await;
    let page = settings.send(&opened, &ENTERED).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_has(&page, &["value=\"Mine\"", "<span class=\"value\">Theirs</span>"]);
    assert_eq!(page.text.matches("Stored meanwhile:").count(), 1, "{}", page.text);
    assert!(is_selected(&page, "code"), "{}", page.text);
}

async fn a_mistake_does_not_make_a_late_form_current(database: TestDatabase) {
    let mut settings = Settings::open(database).await;
    let opened = settings.browser.get(&settings.path.clone()).await;
    settings.store(json!({"enrolment": "code"})).await;
    let mut wrong = ENTERED.to_vec();
    wrong.push(("push_url_schemes", "not a scheme"));
    let page = settings.send(&opened, &wrong).await;
    assert_eq!(page.status, 400, "{}", page.text);
    let page = settings.send(&page, &ENTERED).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert!(is_selected(&page, "code"), "{}", page.text);
    assert_eq!(settings.stored().await["enrolment"], "code");
}

async fn the_off_switches_have_a_form_of_their_own(database: TestDatabase) {
    let mut settings = Settings::open(database).await;
    let opened = settings.browser.get(&settings.path.clone()).await;
    let (_, disclosure) = opened
        .text
        .split_once("<details class=\"disclosure danger\">")
        .unwrap();
    let (disclosure, _) = disclosure.split_once("</details>").unwrap();
    for part in [
        "id=\"switches\"",
        "name=\"enabled\"",
        "name=\"offers_enabled\"",
        "Takes effect on every node",
    ] {
        assert!(disclosure.contains(part), "{part}: {disclosure}");
    }
    // A browser leaves out boxes that are not ticked. The other settings have none.
    let saved = settings.send(&opened, &ENTERED).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let stored = settings.stored().await;
    let switches = |stored: &Value| [stored["enabled"].clone(), stored["offers_enabled"].clone()];
    assert_eq!(switches(&stored), [json!(true), json!(true)]);
    // A change of the other settings meanwhile is named, and switches nothing.
    let path = format!("{}/switches", settings.path);
    let late = opened.hidden("switches", "etag").unwrap().replace("&#34;", "\"");
    let fields = [("enabled", "true"), ("etag", late.as_str())];
    let page = settings.browser.post(&path, &fields).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_eq!(switches(&settings.stored().await), [json!(true), json!(true)]);
    let etag = page.hidden("switches", "etag").unwrap().replace("&#34;", "\"");
    let fields = [("enabled", "true"), ("etag", etag.as_str())];
    let page = settings.browser.post(&path, &fields).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let stored = settings.stored().await;
    assert_eq!(switches(&stored), [json!(true), json!(false)]);
    assert_eq!(stored["name"], "Mine");
    let page = settings.browser.get(&settings.path.clone()).await;
    assert!(is_ticked(&page, "enabled") && !is_ticked(&page, "offers_enabled"));
}

async fn an_action_that_the_release_no_longer_has_is_answered_at_the_top(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let releases = format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases");
    let path = |release: &Value| format!("{releases}/{}", release["id"].as_str().unwrap());
    let (published, draft) = (merchant.published(CHUKU, 1).await, merchant.draft(CHUKU, 2).await);
    for (release, action, state) in [
        (&published, "pause", "recalled"),
        (&draft, "publish", "discarded"),
    ] {
        let path = path(release);
        let etag = browser.get(&path).await.hidden(action, "etag").unwrap();
        let etag = etag.replace("&#34;", "\"");
        if state == "recalled" {
            merchant.recall(release, "stop").await.expect(200);
        } else {
            merchant.take(release, "discard", &json!({})).await.expect(200);
        }
        let expected = format!("Not done: the release was changed meanwhile; it is {state} now.");
        // With the tag of the page that was open, and without one.
        for (fields, status) in [(&[("etag", etag.as_str())][..], 412), (&[][..], 409)] {
            let page = browser.post(&format!("{path}/{action}"), fields).await;
            assert_eq!(page.status, status, "{}", page.text);
            assert_has(&page, &[&expected, "role=\"alert\""]);
        }
    }
    // The form that the page still shows has its message itself.
    let release = merchant.published(CHUKU, 3).await;
    let path = path(&release);
    let etag = browser.get(&path).await.hidden("pause", "etag").unwrap();
    let share = json!({"percent": 5});
    let api = format!("{}/rollout", path_of(&release));
    merchant.admin.put(&api, &share).await.expect(200);
    let page = browser
        .post(
            &format!("{path}/pause"),
            &[("etag", etag.replace("&#34;", "\"").as_str())],
        )
        .await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_has(&page, &["id=\"pause-problem\"", "Repeat the action"]);
    assert!(!page.text.contains("Not done:"), "{}", page.text);
}

async fn a_form_that_is_used_twice_has_a_message_for_people(database: TestDatabase) {
    let app = TestApp::start(database).await;
    app.tenant_admin(TENANT).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let apps = format!("/console/tenants/{TENANT}/apps");
    let form = |name| [("package_name", name), ("app_name", "An app"), ("form_id", "1a")];
    assert_eq!(browser.post(&apps, &form("com.example.a")).await.status, 303);
    let page = browser.post(&apps, &form("com.example.b")).await;
    assert_eq!(page.status, 422, "{}", page.text);
    assert_has(
        &page,
        &["This form was already sent. To create another one, send it again."],
    );
    assert!(!page.text.contains("Idempotency-Key"), "{}", page.text);

    let tokens = format!("/console/tenants/{TENANT}/tokens");
    let token = [("name", "ci"), ("role", "publisher"), ("form_id", "2b")];
    let first = browser.post(&tokens, &token).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = browser.post(&tokens, &token).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert_has(
        &again,
        &[
            "its secret is not shown again",
            &format!("<a href=\"{tokens}\">Back to the list</a>"),
        ],
    );
}

on_both_databases!(
    an_untouched_field_takes_the_value_that_was_stored_meanwhile,
    a_field_that_both_changed_is_marked,
    a_mistake_does_not_make_a_late_form_current,
    the_off_switches_have_a_form_of_their_own,
    an_action_that_the_release_no_longer_has_is_answered_at_the_top,
    a_form_that_is_used_twice_has_a_message_for_people,
);
