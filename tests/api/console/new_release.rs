//! Page "New release": the choice of org nodes, the preview of the offer, and the release that is replaced.

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

use super::browser::{Browser, Page};
use crate::api::dump::dump;
use crate::api::harness::{
    ADMIN, CHUKU, DEADLINE, DOWNLOADS, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, apk, in_tenant, sha256,
};

/// Most bytes of a page with its style sheet and script.
const BUDGET: usize = 60 * 1024;
/// Number of nodes that the choice shows at once.
const SHOWN: usize = 20;

pub(super) struct Fixture {
    pub(super) app: TestApp,
    pub(super) merchant: Merchant,
    pub(super) browser: Browser,
    /// Address of the releases of the app.
    releases: String,
}

impl Fixture {
    pub(super) async fn start(database: TestDatabase) -> Self {
        let app = TestApp::start_with(database, |config| {
            config.artifacts.download_url = Some(format!("{DOWNLOADS}/"));
        })
        .await;
        Self {
            merchant: app.merchant().await,
            browser: Browser::signed_in(&app, ADMIN, PASSWORD).await,
            releases: format!("/console/tenants/{TENANT}/apps/{PACKAGE}/releases"),
            app,
        }
    }

    /// Sends the form to one of its addresses.
    pub(super) async fn send(&mut self, end: &str, own: &[(&str, &str)]) -> Page {
        let path = format!("{}{end}", self.releases);
        let mut fields: Vec<_> = FIELDS
            .iter()
            .copied()
            .filter(|(name, _)| own.iter().all(|(own, _)| own != name))
            .collect();
        fields.extend(own);
        self.browser.post(&path, &fields).await
    }

    /// Sends the check of a device in a store, and waits until the device is known.
    pub(super) async fn check(&self, device: &str, store: &str) -> Value {
        let check = json!({"package_name": PACKAGE, "version_code": 50, "device_id": device, "device_type": "10013",
            "org_info": {"l1Code": "HM", "l2Code": "HM-SH", "l3Code": store}});
        let answer = self.merchant.device.post("/v1/check", &check).await.expect(200);
        let path = in_tenant(&format!("/devices/{device}"));
        let is_known = async || self.merchant.admin.get(&path).await.status == 200;
        until("the device is recorded", DEADLINE, is_known).await;
        answer["data"].clone()
    }
}

const FIELDS: &[(&str, &str)] = &[
    ("identifier", CHUKU),
    ("version_code", "240"),
    ("version_name", "2.4.0 <b>"),
    ("download_url", "https://files.example/240.bin?a=1&b=2"),
    ("size", "1000"),
    ("md5", "0CC175B9C0F1B6A831C399E269772661"),
    ("update_desc", "Two\nlines"),
    ("config_json", "{\"theme\": \"dark\"}"),
    ("rollout.percent", "100"),
    ("rollout.unit", "device"),
    ("mandatory", "true"),
];

pub(super) fn assert_has(page: &Page, parts: &[&str]) {
    for part in parts {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
}

/// The text of a field with several lines.
pub(super) fn area(page: &Page, id: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("<textarea id=\"{id}\"")).unwrap();
    let (_, rest) = rest.split_once(">\n").unwrap();
    rest.split("</textarea>").next().unwrap().to_owned()
}

/// The hidden field with the nodes that are shown.
fn shown_nodes(page: &Page) -> String {
    page.hidden("release", "nodes.shown").unwrap()
}

fn unescape(text: &str) -> String {
    let text = text.replace("&#60;", "<").replace("&#62;", ">");
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}

/// The offer that the page previews.
fn previewed(page: &Page) -> Value {
    let (_, rest) = page.text.split_once("id=\"preview\"").expect(&page.text);
    let (_, rest) = rest.split_once("<pre class=\"copy\">").expect(&page.text);
    serde_json::from_str(&unescape(rest.split("</pre>").next().unwrap())).unwrap()
}

async fn org_nodes_are_chosen_from_the_tree(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let mut nodes = vec![
        json!({"path": ["HM"], "name": "Hema"}),
        json!({"path": ["HM", "HM-SH"], "name": "Shanghai <1>"}),
        json!({"path": ["HM", "A/B"]}),
    ];
    nodes.extend((0..45).map(|store| json!({"path": ["HM", "HM-SH", format!("80{store:02}")]})));
    let directory = in_tenant("/org-directory");
    let admin = &fixture.merchant.admin;
    admin
        .put(&directory, &json!({ "nodes": nodes }))
        .await
        .expect(200);

    let closed = fixture.browser.get(&format!("{}/new", fixture.releases)).await;
    assert_has(&closed, &["id=\"org-nodes\"", "Choose nodes"]);
    assert!(!closed.text.contains("nodes.shown"), "{}", closed.text);

    let top = fixture
        .send("/new/nodes", &[("nodes.open", ""), ("org_scopes", "//9999")])
        .await;
    assert_eq!(top.status, 200, "{}", top.text);
    assert_eq!(shown_nodes(&top), " HM");
    // What was entered is still there.
    for (field, value) in [
        ("version_code", "240"),
        ("size", "1000"),
        ("rollout.percent", "100"),
    ] {
        assert_eq!(top.hidden("release", field).as_deref(), Some(value), "{field}");
    }
    assert_eq!(area(&top, "release-org_scopes"), "//9999");
    assert_has(&top, &["name=\"mandatory\" value=\"true\" checked", ">47</td>"]);
    assert!(!top.text.contains("role=\"alert\""), "{}", top.text);

    let level = [
        ("nodes.at", ""),
        ("nodes.shown", " HM"),
        ("nodes.open", "HM"),
        ("exclude.0", "true"),
    ];
    let regions = fixture.send("/new/nodes", &level).await;
    assert_eq!(area(&regions, "release-org_exclusions"), "HM");
    assert_eq!(unescape(&shown_nodes(&regions)), " HM/A\\/B\n HM/HM-SH");
    assert_has(&regions, &["Shanghai &#60;1&#62;"]);

    // Boxes count with every button, also with that of the form, and a page has a part of a large level.
    let shown = shown_nodes(&regions);
    let open = [
        ("nodes.at", "HM"),
        ("nodes.shown", unescape(&shown).as_str()),
        ("nodes.open", "HM/HM-SH"),
        ("include.0", "true"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let open: Vec<_> = open.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stores = fixture.send("/new/nodes", &open).await;
    assert_eq!(unescape(&area(&stores, "release-org_scopes")), "HM/A\\/B");
    assert_eq!(shown_nodes(&stores).lines().count(), SHOWN);
    assert!(
        stores.text.len() + assets(&mut fixture.browser).await <= BUDGET,
        "{}",
        stores.text.len()
    );
    let next = [("nodes.at", "HM/HM-SH"), ("nodes.after", "8039")];
    let last = fixture.send("/new/nodes", &next).await;
    assert_eq!(shown_nodes(&last).lines().next(), Some(" HM/HM-SH/8040"));
    assert!(!last.text.contains("nodes.after"), "{}", last.text);

    let search = [
        ("nodes.at", ""),
        ("nodes.query", "8007"),
        ("nodes.find", "true"),
        ("org_scopes", "HM/HM-SH/8007"),
    ];
    let found = fixture.send("/new/nodes", &search).await;
    assert_eq!(shown_nodes(&found), "+ HM/HM-SH/8007");
    assert_has(
        &found,
        &["name=\"include.0\" value=\"true\" aria-label=\"Include HM / HM-SH / 8007\" checked"],
    );

    let created = [
        ("nodes.at", "HM"),
        ("nodes.shown", " HM/A\\/B\n HM/HM-SH"),
        ("include.0", "true"),
        ("exclude.1", "true"),
    ];
    let created = fixture.send("", &created).await;
    assert_eq!(created.status, 303, "{}", created.text);
    let id = created.location().split(['/', '?']).nth(7).unwrap().to_owned();
    let path = in_tenant(&format!("/apps/{PACKAGE}/releases/{id}"));
    let release = fixture.merchant.admin.get(&path).await.expect(200);
    assert_eq!(release["org_scopes"], json!([{"l1Code": "HM", "l2Code": "A/B"}]));
    assert_eq!(
        release["org_exclusions"],
        json!([{"l1Code": "HM", "l2Code": "HM-SH"}])
    );
}

/// Number of bytes of the style sheet and the script.
async fn assets(browser: &mut Browser) -> usize {
    let mut bytes = 0;
    let page = browser.get("/console/help").await;
    for mark in ["href=\"/console/assets/", "src=\"/console/assets/"] {
        for rest in page.text.split(mark).skip(1) {
            let path = format!("/console/assets/{}", rest.split('"').next().unwrap());
            bytes += browser.get(&path).await.text.len();
        }
    }
    bytes
}

async fn the_offer_is_previewed_as_a_device_gets_it(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture.check("PDA001", "8007").await;
    fixture.check("PDA002", "8011").await;
    let before = dump(&fixture.merchant.admin, TENANT).await;
    let of_store = [("org_scopes", "HM/HM-SH/8007")];
    let page = fixture.send("/new/preview", &of_store).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let offer = previewed(&page);
    assert_has(
        &page,
        &[
            "devices/PDA001\"",
            "devices/PDA002\"",
            "<code>org</code>",
            "first published release",
        ],
    );
    let chosen = [("preview.device", "PDA002"), ("org_scopes", "HM/HM-SH/8007")];
    let page = fixture.send("/new/preview", &chosen).await;
    assert_has(&page, &["None of the examined devices", "value=\"PDA002\""]);
    assert_eq!(previewed(&page), offer, "any other device gets the same");
    let unknown = fixture
        .send("/new/preview", &[("preview.device", "nobody")])
        .await;
    assert_eq!(unknown.status, 400, "{}", unknown.text);
    assert_has(&unknown, &["id=\"preview-device-error\""]);
    let wrong = fixture.send("/new/preview", &[("size", "many")]).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    assert_has(&wrong, &["id=\"release-size-error\"", "value=\"many\""]);
    assert!(!wrong.text.contains("id=\"preview\""), "{}", wrong.text);
    assert_eq!(
        dump(&fixture.merchant.admin, TENANT).await,
        before,
        "a preview stores nothing"
    );

    let created = [("org_scopes", "HM/HM-SH/8007"), ("publish", "true")];
    let created = fixture.send("", &created).await;
    assert_eq!(created.status, 303, "{}", created.text);
    assert_eq!(fixture.check("PDA001", "8007").await, json!([offer]));
    assert_eq!(fixture.check("PDA002", "8011").await, json!([]));
}

async fn a_preview_knows_the_rest_of_the_catalog(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    fixture.check("PDA001", "8007").await;
    let newer = fixture.merchant.published(CHUKU, 300).await;
    let page = fixture.send("/new/preview", &[]).await;
    assert_has(
        &page,
        &["None of the examined devices", "<code>newer_passes</code>"],
    );
    assert_has(
        &page,
        &[&format!("/releases/{}\"", newer["id"].as_str().unwrap())],
    );
    // The devices of a share without a key are not known before the release has its id.
    let drawn = "are drawn when the release is created";
    let share = [("version_code", "301"), ("rollout.percent", "5")];
    let page = fixture.send("/new/preview", &share).await;
    assert_has(&page, &[drawn, "devices/PDA001\""]);
    let keyed = [
        ("version_code", "301"),
        ("rollout.percent", "0"),
        ("rollout.key", "a key"),
    ];
    let page = fixture.send("/new/preview", &keyed).await;
    assert_has(&page, &["None of the examined devices", "<code>rollout</code>"]);
    assert!(!page.text.contains(drawn), "{}", page.text);
    // The same version with another file would be refused.
    let again = fixture.send("/new/preview", &[("version_code", "300")]).await;
    assert_eq!(again.status, 409, "{}", again.text);
    // A release that starts later is decided for its start.
    let later = [("version_code", "301"), ("starts_at", "2030-01-01T00:00")];
    let page = fixture.send("/new/preview", &later).await;
    assert_has(&page, &["2030-01-01 00:00", "devices/PDA001\""]);
}

async fn the_highest_published_version_is_replaced_whatever_came_later(database: TestDatabase) {
    let mut fixture = Fixture::start(database).await;
    let highest = fixture.merchant.published(PACKAGE, 100).await;
    // Each is newer as a release, and of a lower version.
    for version in 1..=22 {
        fixture
            .merchant
            .published_with(PACKAGE, version, json!({"force": true}))
            .await;
    }
    let paused = fixture.merchant.published(PACKAGE, 120).await;
    fixture
        .merchant
        .take(&paused, "pause", &json!({}))
        .await
        .expect(200);
    let file = apk(PACKAGE, 50);
    let new = format!("{}/new", fixture.releases);
    let stored = fixture.browser.upload(&new, "50.apk", &file).await;
    assert_eq!(stored.status, 303, "{}", stored.text);
    let page = fixture
        .browser
        .get(&format!("{new}?artifact={}", sha256(&file)))
        .await;
    let of_highest = format!("/releases/{}\"", highest["id"].as_str().unwrap());
    assert_has(&page, &[&of_highest, "is as new or newer"]);
}

on_both_databases!(
    org_nodes_are_chosen_from_the_tree,
    the_offer_is_previewed_as_a_device_gets_it,
    a_preview_knows_the_rest_of_the_catalog,
    the_highest_published_version_is_replaced_whatever_came_later,
);
