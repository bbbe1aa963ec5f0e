//! The page of a device: the pins that apply to it, and its pushes.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::new_release::assert_has;
use crate::api::harness::{
    ADMIN, CHUKU, Caller, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, in_tenant, push_fields, with,
};

const DEVICE: &str = "PDA001";

struct Fixture {
    app: TestApp,
    merchant: Merchant,
    browser: Browser,
}

impl Fixture {
    /// Starts a server with a device in the store `HM/HM-SH/8007`.
    async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start(database).await;
        let merchant = app.merchant().await;
        merchant.published(CHUKU, 1).await;
        let store = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"});
        import(&merchant.admin, DEVICE, &store).await;
        Self {
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            merchant,
            app,
        }
    }

    async fn pin(&self, own: Value) {
        let usual = json!({"package_name": PACKAGE, "identifier": CHUKU, "mode": "hold"});
        let pins = in_tenant("/pins");
        self.merchant
            .admin
            .put(&pins, &with(usual, own))
            .await
            .expect(200);
    }

    async fn open(&mut self) -> Page {
        let page = self.browser.get(&path(&format!("/devices/{DEVICE}"))).await;
        assert_eq!(page.status, 200, "{}", page.text);
        page
    }
}

async fn import(admin: &Caller, device: &str, org: &Value) {
    let device = json!({"device_id": device, "project_id": "stores", "org_info": org});
    let devices = json!({"devices": [device]});
    admin.post(&in_tenant("/devices"), &devices).await.expect(200);
}

fn path(rest: &str) -> String {
    format!("/console/tenants/{TENANT}{rest}")
}

/// Returns the part of a page below a heading.
fn section<'a>(page: &'a Page, id: &str) -> &'a str {
    let (_, rest) = page.text.split_once(&format!("<h2 id=\"{id}\">")).unwrap();
    rest.split("<h2").next().unwrap()
}

fn texts_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let (_, after) = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("{part} in order: {text}"));
        rest = after;
    }
}

async fn pins_of_the_device_and_its_nodes_are_in_the_order_of_precedence(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    assert_has(&fixture.open().await, &["No pin applies to this device."]);
    fixture
        .pin(json!({"org_path": ["HM"], "reason": "whole company"}))
        .await;
    let until = "2026-03-02T04:00:00Z";
    fixture
        .pin(json!({"device_id": DEVICE, "reason": "own pin", "mode": "ceiling", "version_code": 7, "expires_at": until}))
        .await;
    fixture
        .pin(json!({"org_path": ["HM", "HM-SH"], "reason": "whole region"}))
        .await;
    for (others, target) in [
        ("of another node", json!({"org_path": ["HM", "HM-BJ"]})),
        (
            "of a node below",
            json!({"org_path": ["HM", "HM-SH", "8007", "1"]}),
        ),
        ("of another device", json!({"device_id": "PDA002"})),
    ] {
        fixture.pin(with(target, json!({"reason": others}))).await;
    }
    let page = fixture.open().await;
    let pins = section(&page, "pins");
    texts_in_order(
        pins,
        &[
            "Device PDA001",
            "At most version 7",
            "own pin",
            until,
            "HM/HM-SH",
            "whole region",
            "never",
            "whole company",
        ],
    );
    assert!(!pins.contains("of a"), "{pins}");
    // The link leads to this pin alone.
    let query = format!("package_name={PACKAGE}&#38;identifier={CHUKU}&#38;on_node=HM%2FHM-SH\"");
    assert!(pins.contains(&query), "{pins}");
    let list = path(&format!(
        "/pins?package_name={PACKAGE}&identifier={CHUKU}&on_node=HM%2FHM-SH"
    ));
    let list = fixture.browser.get(&list).await;
    assert_has(&list, &["whole region"]);
    assert!(!list.text.contains("whole company"), "{}", list.text);
    assert!(!pins.contains(">expired<"), "{pins}");
    fixture.app.set_clock(until);
    let page = fixture.open().await;
    assert!(section(&page, "pins").contains(">expired<"), "{}", page.text);
}

async fn a_target_with_many_pins_has_a_link_to_its_list(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    for number in 0..11 {
        let identifier = format!("{PACKAGE}.m{number:02}");
        fixture.merchant.draft(&identifier, 1).await;
        fixture
            .pin(json!({"identifier": identifier, "org_path": ["HM"], "reason": "many"}))
            .await;
    }
    let page = fixture.open().await;
    let pins = section(&page, "pins");
    assert!(!pins.contains(&format!("{PACKAGE}.m00<")), "{pins}");
    texts_in_order(
        pins,
        &[
            &format!("{PACKAGE}.m10<"),
            &format!("{PACKAGE}.m01<"),
            "All pins on HM",
        ],
    );
    let list = fixture.browser.get(&path("/pins?on_node=HM")).await;
    assert_eq!(list.text.matches(">many<").count(), 11, "{}", list.text);
}

async fn the_newest_pushes_are_shown_with_their_state(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    assert_has(&fixture.open().await, &["Nothing was pushed to this device."]);
    fixture.merchant.know(&["PDA002"]).await;
    let admin = fixture.merchant.admin.clone();
    let push = async |devices: &[&str], number: usize| {
        let push = with(
            push_fields(devices),
            json!({"trace_id": format!("trace-{number}")}),
        );
        let made = admin.post(&in_tenant("/pushes"), &push).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(push(&[DEVICE, "PDA002"], number).await);
    }
    let of_other = push(&["PDA002"], 12).await;
    admin
        .delete(&in_tenant(&format!("/pushes/{}", ids[11])))
        .await
        .expect(200);
    let page = fixture.open().await;
    let pushes = section(&page, "pushes");
    let link = |id: &String| format!("href=\"{}\"", path(&format!("/pushes/{id}")));
    assert!(!page.text.contains(&link(&of_other)), "{pushes}");
    assert!(!pushes.contains(&link(&ids[1])), "{pushes}");
    texts_in_order(
        pushes,
        &[
            &link(&ids[11]),
            ">withdrawn<",
            &link(&ids[10]),
            ">queued<",
            &link(&ids[2]),
        ],
    );
    let (_, next) = pushes.split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let older = fixture.browser.get(&next).await;
    let pushes = section(&older, "pushes");
    texts_in_order(pushes, &[&link(&ids[1]), &link(&ids[0])]);
    assert!(!pushes.contains("rel=\"next\""), "{pushes}");
}

on_both_databases!(
    pins_of_the_device_and_its_nodes_are_in_the_order_of_precedence,
    a_target_with_many_pins_has_a_link_to_its_list,
    the_newest_pushes_are_shown_with_their_state,
);
