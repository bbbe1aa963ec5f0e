//! Forms of actions that a double click sends twice: the second answer is that of the first.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::{Fixture as NewRelease, assert_has};
use crate::api::harness::{ADMIN, CHUKU, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, apk, plant_artifact};

struct Fixture {
    _app: TestApp,
    merchant: Merchant,
    browser: Browser,
}

impl Fixture {
    async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        Self {
            merchant: app.merchant().await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            _app: app,
        }
    }

    /// Opens a page, and returns the fields of one of its forms with these values.
    async fn fill(&mut self, page: &str, form: &str, entered: &[(&str, &str)]) -> Vec<(String, String)> {
        let page = self.browser.get(page).await;
        let mut fields: Vec<_> = entered.iter().map(|(name, value)| owned(name, value)).collect();
        for name in ["form_id", "etag", "opened"] {
            if let Some(value) = page.hidden(form, name) {
                fields.push(owned(name, &value.replace("&#34;", "\"")));
            }
        }
        fields
    }

    async fn send(&mut self, path: &str, fields: &[(String, String)]) -> Page {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.browser.post(path, &fields).await
    }
}

fn owned(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn page_of(release: &Value) -> String {
    let id = release["id"].as_str().unwrap();
    format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases/{id}")
}

async fn an_action_that_is_sent_twice_succeeds_twice(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let path = page_of(&fixture.merchant.draft(CHUKU, 1).await);
    let share = [("percent", "7"), ("unit", "device")];
    let recall = [("mode", "stop"), ("reason", "It crashes")];
    for (form, entered, notice) in [
        ("publish", &[][..], "published"),
        ("rollout", &share[..], "saved"),
        ("pause", &[][..], "paused"),
        ("recall", &recall[..], "recalled"),
    ] {
        let fields = fixture.fill(&path, form, entered).await;
        let action = format!("{path}/{form}");
        for sending in ["first", "second"] {
            let page = fixture.send(&action, &fields).await;
            let expected = (303, format!("{path}?done={notice}"));
            assert_eq!(
                (page.status, page.location().to_owned()),
                expected,
                "{sending} {form}: {}",
                page.text
            );
        }
        // Another form of the same page is late.
        let mut late = fields.clone();
        late.retain(|(name, _)| name != "form_id");
        late.push(owned("form_id", "1a"));
        let page = fixture.send(&action, &late).await;
        assert_eq!(page.status, 412, "{form}: {}", page.text);
        // So is the same form with other input.
        let mut other = fields;
        other.push(owned("reason", "Another reason"));
        other.push(owned("percent", "8"));
        let page = fixture.send(&action, &other).await;
        assert_eq!(page.status, 412, "{form}: {}", page.text);
    }
}

async fn an_action_that_is_sent_twice_at_once_succeeds_twice(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let path = page_of(&fixture.merchant.published(CHUKU, 1).await);
    let fields = fixture.fill(&path, "pause", &[]).await;
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let action = format!("{path}/pause");
    let (mut one, mut other) = (fixture.browser.clone(), fixture.browser.clone());
    let (first, second) = tokio::join!(one.post(&action, &fields), other.post(&action, &fields));
    for page in [first, second] {
        assert_eq!(
            (page.status, page.location()),
            (303, format!("{path}?done=paused").as_str())
        );
    }
}

async fn a_deletion_that_is_sent_twice_succeeds_twice(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let pins = format!("/console/tenants/{TENANT}/pins");
    fixture.merchant.published(CHUKU, 1).await;
    let pin = json!({"identifier": CHUKU, "package_name": PACKAGE, "device_id": "PDA001", "mode": "hold", "reason": "A test"});
    let api = format!("/api/v1/tenants/{TENANT}/pins");
    let made = fixture.merchant.admin.put(&api, &pin).await;
    assert!([200, 201].contains(&made.status), "{}", made.status);
    let list = fixture.merchant.admin.get(&api).await.expect(200);
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let opened = format!("{pins}?change={id}");
    let fields = fixture.fill(&opened, &format!("unpin-{id}"), &[]).await;
    assert_eq!(fields.len(), 2, "{fields:?}");
    for _ in 0..2 {
        let page = fixture.send(&format!("{pins}/{id}/delete"), &fields).await;
        assert_eq!(
            (page.status, page.location()),
            (303, format!("{pins}?done=deleted").as_str()),
            "{}",
            page.text
        );
    }
    let page = fixture
        .send(&format!("{pins}/{id}/delete"), &[owned("form_id", "1a")])
        .await;
    assert_eq!(page.status, 404);
}

async fn a_new_release_that_is_sent_twice_warns_twice(database: TestDatabase) {
    let mut fixture = NewRelease::start(database).await;
    let bytes = apk("com.example.receiving", 43);
    let sha256 = plant_artifact(&fixture.app.database, TENANT, &bytes).await;
    let fields = [
        ("artifact", sha256.as_str()),
        ("version_code", "43"),
        ("download_url", ""),
        ("size", ""),
        ("md5", ""),
        ("publish", "true"),
        ("form_id", "1a"),
    ];
    for notice in ["done=published", "done=exists"] {
        let page = fixture.send("", &fields).await;
        assert_eq!(page.status, 303, "{}", page.text);
        assert!(page.location().contains(notice), "{}", page.location());
        let target = page.location().to_owned();
        assert_has(
            &fixture.browser.get(&target).await,
            &["you release it as resource"],
        );
    }
}

on_both_databases!(
    an_action_that_is_sent_twice_succeeds_twice,
    an_action_that_is_sent_twice_at_once_succeeds_twice,
    a_deletion_that_is_sent_twice_succeeds_twice,
    a_new_release_that_is_sent_twice_warns_twice,
);
