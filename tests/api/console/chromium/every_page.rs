//! Every page of the console is accessible and small, and does not scroll sideways on a narrow screen. The pages are
//! the same on both databases, so one suffices.

use std::path::Path;

use serde_json::{Value, json};
use slipway_test_support::database::TestDatabase;

use super::tab::{NARROW, Tab};
use crate::api::console::objects::Objects;
use crate::api::console::roles::pages;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp, in_tenant, release_fields, with};
use crate::api::operations::make_person;

/// Maximum size of a page with its style sheet and script, in bytes.
const MOST_BYTES: u64 = 60 * 1024;
/// Maximum number of requests of a page: itself, the style sheet, the script and the icon.
const MOST_REQUESTS: u64 = 4;

/// Tags of axe-core's rules: WCAG 2.2 AA, and the recommendations of its authors.
const RULES: [&str; 6] = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22aa",
    "best-practice",
];

/// Opens all collapsed parts, so that they are examined too.
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((details) => { details.open = true; });";

/// Finds elements that extend beyond the right edge of the screen and are not in a scrolling container.
const TOO_WIDE: &str = r"
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > width + 1 && !element.closest('.scroll, .side'))
      .map((element) => element.outerHTML.slice(0, 120));";

/// Returns the bytes and requests of the page, and resources from other servers.
const COST: &str = r"
    const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return {
      bytes: all.reduce((sum, entry) => sum + entry.transferSize, 0),
      requests: all.length,
      foreign: all.map((entry) => entry.name).filter((name) => new URL(name).origin !== location.origin),
    };";

/// Reads axe-core, which `tests/run` installs in the pinned version.
fn axe() -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(project.join(path)).unwrap_or_default();
    assert!(
        read("target/browser/installed") == read("tests/browser/package-lock.json"),
        "axe-core is not installed as tests/browser pins it; run tests/run, which installs it"
    );
    read("target/browser/node_modules/axe-core/axe.min.js")
}

/// Runs rules of axe-core on the page, and returns the violations.
async fn violations(tab: &Tab, options: &Value) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         const brief = (found) => found.violations.flatMap((rule) => rule.nodes.map((node) =>
           `${{rule.id}} (${{rule.impact}}): ${{node.html.slice(0, 200)}} ${{node.failureSummary}}`));
         axe.run(document, {options}).then((found) => done(brief(found)), (error) => done([String(error)]));"
    );
    tab.run_async(&script).await
}

/// Adds objects with the longest names, in which no line can be broken at a space.
async fn add_long_names(app: &TestApp) -> Vec<String> {
    let platform = app.platform_admin().await;
    let long = |prefix: &str, length: usize| format!("{prefix}{}", "w".repeat(length - prefix.len()));
    let package = long("com.example.", 128);
    let post = async |path: &str, body: Value| {
        let made = platform.post(&in_tenant(path), &body).await;
        assert!((200..300).contains(&made.status), "{path}: {}", made.text);
        made.body
    };
    let name = json!({"package_name": package, "app_name": long("Long", 100)});
    post("/apps", name).await;
    let release = with(
        release_fields(&package, 9_007_199_254_740_991),
        json!({"version_name": long("1.0-", 64), "update_desc": long("Long", 500), "device_types": [long("type", 64)],
            "org_scopes": [{"l1Code": long("HM", 64)}], "config_json": {long("key", 60): long("value", 60)},
            "publish": true}),
    );
    let release = post(&format!("/apps/{package}/releases"), release).await;
    let device = long("PDA", 100);
    let devices = json!({"devices": [{"device_id": device, "project_id": long("stores", 64)}]});
    post("/devices", devices).await;
    let tenant = format!("/console/tenants/{TENANT}");
    let release = release["id"].as_str().unwrap();
    vec![
        format!("{tenant}/apps/{package}"),
        format!("{tenant}/apps/{package}/releases/{release}"),
        format!("{tenant}/devices/{device}"),
    ]
}

/// Examines every page as a person with a role, in a language.
async fn examine_all(role: Option<&str>, languages: &str) {
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    let mut paths = add_long_names(&app).await;
    paths.extend(pages().map(|path| format!("/console{}", objects.fill(path))));
    paths.push("/console/nowhere".to_owned());
    let person = match role {
        Some(role) => {
            make_person(&admin, TENANT, "a-person", role).await;
            "a-person"
        }
        None => ADMIN,
    };
    let tab = Tab::open(&app.url).await;
    tab.set_languages(languages).await;
    tab.forbid_cache().await;
    tab.preload(&axe()).await;
    let mut faults = examine(&tab, "/console/sign-in").await;
    tab.sign_in("/console", person, PASSWORD).await;
    for path in paths {
        faults.extend(examine(&tab, &path).await);
        let shown = tab.run("return document.documentElement.lang").await;
        assert!(
            languages.starts_with(shown.as_str().unwrap()),
            "{path} is {shown}"
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
    tab.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_small_and_fits_a_narrow_screen() {
    examine_all(None, "en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_viewer_is_accessible_small_and_fits_a_narrow_screen() {
    examine_all(Some("viewer"), "en").await;
}

/// Pages that the role has no access to are examined as the error that takes their place.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_publisher_in_chinese_is_accessible_small_and_fits_a_narrow_screen() {
    examine_all(Some("publisher"), "zh-CN").await;
}

/// Returns the problems of a page.
async fn examine(tab: &Tab, path: &str) -> Vec<String> {
    tab.set_dark(false).await;
    tab.set_width(1280).await;
    tab.go(path).await;
    let cost = tab.run(COST).await;
    let mut faults = Vec::new();
    let exceeds = |name: &str, most: u64| cost[name].as_u64().is_none_or(|number| number > most);
    if exceeds("bytes", MOST_BYTES) || exceeds("requests", MOST_REQUESTS) || cost["foreign"] != json!([]) {
        faults.push(format!("{path} costs {cost}"));
    }
    faults.extend(examine_opened(tab, path).await);
    faults
}

/// Returns the problems of the current page, which a form led to.
pub(super) async fn examine_shown(tab: &Tab) -> Vec<String> {
    tab.run(&axe()).await;
    let faults = examine_opened(tab, "the page").await;
    tab.set_width(1280).await;
    tab.set_dark(false).await;
    faults
}

/// Examines what does not depend on the load of the page. axe-core must be in the page.
async fn examine_opened(tab: &Tab, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut note = |found: &Value| {
        let found = found.as_array().expect("a list").iter();
        faults.extend(found.map(|fault| format!("{path}: {}", fault.as_str().unwrap_or_default())));
    };
    tab.run(OPEN_ALL).await;
    let rules = json!({"runOnly": RULES, "resultTypes": ["violations"]});
    note(&violations(tab, &rules).await);
    tab.set_dark(true).await;
    let colours = json!({"runOnly": ["color-contrast"], "resultTypes": ["violations"]});
    note(&violations(tab, &colours).await);
    tab.set_width(NARROW).await;
    note(&tab.run(TOO_WIDE).await);
    faults
}
