//! The form of a new pin: it replaces a pin only after showing it.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{
    ADMIN, CHUKU, Caller, PACKAGE, PASSWORD, TENANT, TestApp, every_item, in_tenant, with,
};

struct Fixture {
    _app: TestApp,
    admin: Caller,
    browser: Browser,
}

impl Fixture {
    async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        merchant.published(CHUKU, 1).await;
        Self {
            admin: merchant.admin,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            _app: app,
        }
    }

    /// Sends the form of a new pin on a device.
    async fn send(&mut self, own: &[(&str, &str)]) -> Page {
        let mut fields = vec![
            ("package_name", PACKAGE),
            ("identifier", CHUKU),
            ("device_id", "PDA001"),
        ];
        fields.extend(own);
        let path = format!("/console/tenants/{TENANT}/pins");
        self.browser.post(&path, &fields).await
    }

    async fn put(&self, own: Value) -> Value {
        let usual = json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "PDA001"});
        let pins = in_tenant("/pins");
        self.admin.put(&pins, &with(usual, own)).await.expect(200)
    }

    /// Returns the modes and reasons of all pins.
    async fn stored(&self) -> Vec<String> {
        let pins = every_item(&self.admin, &in_tenant("/pins?limit=1")).await;
        let text = |pin: &Value, name: &str| pin[name].as_str().unwrap().to_owned();
        pins.iter()
            .map(|pin| format!("{} {}", text(pin, "mode"), text(pin, "reason")))
            .collect()
    }
}

fn etag_of(page: &Page) -> String {
    page.hidden("pin", "etag").unwrap().replace("&#34;", "\"")
}

const HOLD: [(&str, &str); 2] = [("mode", "hold"), ("reason", "stock-taking <1>")];
const CEILING: [(&str, &str); 3] = [
    ("mode", "ceiling"),
    ("version_code", "7"),
    ("reason", "faulty scanner"),
];

async fn a_pin_is_replaced_only_after_it_was_shown(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let made = fixture.send(&HOLD).await;
    assert_eq!(made.status, 303, "{}", made.text);
    // The same pin again is no conflict.
    assert_eq!(fixture.send(&HOLD).await.status, 303);
    let page = fixture.send(&CEILING).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert_has(
        &page,
        &[
            "id=\"existing-pin\"",
            "The target has this pin now.",
            "stock-taking &#60;1&#62;",
            "Replace the pin</button>",
            "faulty scanner",
        ],
    );
    assert_eq!(fixture.stored().await, ["hold stock-taking <1>"]);
    let etag = etag_of(&page);
    let mut confirmed = CEILING.to_vec();
    confirmed.push(("etag", &etag));
    assert_eq!(fixture.send(&confirmed).await.status, 303);
    assert_eq!(fixture.stored().await, ["ceiling faulty scanner"]);
}

async fn a_pin_that_was_changed_meanwhile_is_shown_again(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture.put(json!({"mode": "hold", "reason": "first"})).await;
    let page = fixture.send(&CEILING).await;
    assert_eq!(page.status, 409, "{}", page.text);
    // The API replaces a pin without a precondition.
    fixture.put(json!({"mode": "hold", "reason": "second"})).await;
    let etag = etag_of(&page);
    let mut confirmed = CEILING.to_vec();
    confirmed.push(("etag", &etag));
    let page = fixture.send(&confirmed).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_has(
        &page,
        &["<dd class=\"value\">second</dd>", "Replace the pin</button>"],
    );
    assert_eq!(fixture.stored().await, ["hold second"]);
    // The tag of a pin does not replace the pin of another target.
    fixture
        .put(json!({"mode": "hold", "reason": "another", "device_id": "PDA002"}))
        .await;
    let etag = etag_of(&page);
    let other = [
        ("package_name", PACKAGE),
        ("identifier", CHUKU),
        ("device_id", "PDA002"),
        ("mode", "hold"),
        ("reason", "mine"),
        ("etag", etag.as_str()),
    ];
    let path = format!("/console/tenants/{TENANT}/pins");
    let page = fixture.browser.post(&path, &other).await;
    assert_eq!(page.status, 412, "{}", page.text);
    assert_has(&page, &["<dd class=\"value\">another</dd>"]);
    let etag = etag_of(&page);
    let mut confirmed = CEILING.to_vec();
    confirmed.push(("etag", &etag));
    // Nor does the tag of the other target's pin.
    assert_eq!(fixture.send(&confirmed).await.status, 412);
    assert_eq!(fixture.stored().await, ["hold second", "hold another"]);
}

async fn the_existing_pin_is_shown_in_chinese(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture
        .put(json!({"mode": "hold", "reason": "first", "device_id": "PDA001"}))
        .await;
    fixture.browser.headers = vec![("accept-language".to_owned(), "zh-CN".to_owned())];
    let page = fixture.send(&CEILING).await;
    assert_eq!(page.status, 409, "{}", page.text);
    assert_has(&page, &["该目标现有以下锁定。", "替换锁定</button>"]);
}

on_both_databases!(
    a_pin_is_replaced_only_after_it_was_shown,
    a_pin_that_was_changed_meanwhile_is_shown_again,
    the_existing_pin_is_shown_in_chinese,
);
