//! Permissions of pages and forms: a row for every route of the console.

use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::{Browser, Page};
use super::objects::Objects;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp};
use crate::api::operations::make_person;

/// Callers with permission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Viewer,
    Publisher,
    Admin,
    Platform,
}

use Least::{Admin, Platform, Publisher, Viewer};

/// Route, an example path, the fields of a form, and the lowest role with permission.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Least,
);

/// Public routes, which other tests cover.
const PUBLIC: [&str; 6] = [
    "get ",
    "get /assets/{digest}/{file}",
    "get /sign-in",
    "post /sign-in",
    "post /sign-out",
    "post /language",
];

pub(super) const NEW_RELEASE: &[(&str, &str)] = &[
    ("identifier", "{identifier}"),
    ("version_code", "90"),
    ("version_name", "9.0"),
    ("download_url", "https://files.example/90.bin"),
    ("size", "1000"),
    ("md5", "0cc175b9c0f1b6a831c399e269772661"),
    ("rollout.percent", "5"),
    ("rollout.unit", "l3"),
];

const CHECK: &[(&str, &str)] = &[
    ("package_name", "{package}"),
    ("version_code", "0"),
    ("device_id", "{device}"),
];

/// The only field of a form with a file: the name and the content of the file.
const FILE: &[(&str, &str)] = &[("new-{number}.bin", "a new file {number}")];

const ROWS: &[Row] = &[
    ("get /account", "/account", &[], Viewer),
    (
        "post /account",
        "/account",
        &[("current", "wrong"), ("new", "a new password")],
        Viewer,
    ),
    ("get /help", "/help", &[], Viewer),
    ("get /search", "/search?q=nothing-of-the-kind", &[], Platform),
    ("get /people", "/people", &[], Platform),
    (
        "post /people",
        "/people",
        &[
            ("username", "new-admin-{number}"),
            ("password", "a long password"),
        ],
        Platform,
    ),
    (
        "post /people/{id}",
        "/people/{administrator}",
        &[("enabled", "true")],
        Platform,
    ),
    (
        "post /people/{id}/delete",
        "/people/{administrator}/delete",
        &[],
        Platform,
    ),
    ("get /tokens", "/tokens", &[], Platform),
    ("post /tokens", "/tokens", &[("name", "provisioning")], Platform),
    (
        "post /tokens/{id}/delete",
        "/tokens/{platform_token}/delete",
        &[],
        Platform,
    ),
    ("get /audit", "/audit", &[], Platform),
    ("get /audit.csv", "/audit.csv", &[], Platform),
    ("get /audit.jsonl", "/audit.jsonl", &[], Platform),
    (
        "post /tenants",
        "/tenants",
        &[("id", "3{number}"), ("name", "New")],
        Platform,
    ),
    ("get /tenants/{tenant_id}", "/tenants/{tenant}", &[], Viewer),
    (
        "get /tenants/{tenant_id}/search",
        "/tenants/{tenant}/search?q=nothing-of-the-kind",
        &[],
        Viewer,
    ),
    (
        "get /tenants/{tenant_id}/apps",
        "/tenants/{tenant}/apps",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/apps",
        "/tenants/{tenant}/apps",
        &[("package_name", "com.example.new{number}"), ("app_name", "New")],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/apps/{package_name}",
        "/tenants/{tenant}/apps/{package}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/update",
        "/tenants/{tenant}/apps/{package}/update",
        &[("app_name", "Other"), ("enabled", "true")],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/delete",
        "/tenants/{tenant}/apps/{spare}/delete",
        &[],
        Admin,
    ),
    (
        "get /tenants/{tenant_id}/apps/{package_name}/resources/{identifier}",
        "/tenants/{tenant}/apps/{package}/resources/{identifier}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/resources/{identifier}",
        "/tenants/{tenant}/apps/{package}/resources/{identifier}",
        &[("kind", "other"), ("enabled", "true")],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/apps/{package_name}/releases/new",
        "/tenants/{tenant}/apps/{package}/releases/new",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases",
        "/tenants/{tenant}/apps/{package}/releases",
        NEW_RELEASE,
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/new",
        "/tenants/{tenant}/apps/{package}/releases/new",
        FILE,
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/new/nodes",
        "/tenants/{tenant}/apps/{package}/releases/new/nodes",
        &[("nodes.open", "")],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/new/preview",
        "/tenants/{tenant}/apps/{package}/releases/new/preview",
        NEW_RELEASE,
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}",
        "/tenants/{tenant}/apps/{package}/releases/{published}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/edit",
        "/tenants/{tenant}/apps/{package}/releases/{published}/edit",
        &[("rollout.percent", "50"), ("rollout.unit", "device")],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/rollout",
        "/tenants/{tenant}/apps/{package}/releases/{published}/rollout",
        &[("percent", "60"), ("unit", "device")],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish",
        "/tenants/{tenant}/apps/{package}/releases/{draft}/publish",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/pause",
        "/tenants/{tenant}/apps/{package}/releases/{to_pause}/pause",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/resume",
        "/tenants/{tenant}/apps/{package}/releases/{paused}/resume",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/discard",
        "/tenants/{tenant}/apps/{package}/releases/{to_discard}/discard",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/recall",
        "/tenants/{tenant}/apps/{package}/releases/{to_recall}/recall",
        &[("mode", "stop"), ("reason", "crashes")],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/artifacts",
        "/tenants/{tenant}/artifacts",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/artifacts",
        "/tenants/{tenant}/artifacts",
        FILE,
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/artifacts/{sha256}",
        "/tenants/{tenant}/artifacts/{artifact}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/artifacts/{sha256}/keep",
        "/tenants/{tenant}/artifacts/{artifact}/keep",
        &[("keep", "true")],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/artifacts/{sha256}/new-link",
        "/tenants/{tenant}/artifacts/{artifact}/new-link",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/artifacts/{sha256}/delete",
        "/tenants/{tenant}/artifacts/{spare_artifact}/delete",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/devices",
        "/tenants/{tenant}/devices",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/devices",
        "/tenants/{tenant}/devices",
        &[("csv", "imported-{number},stores,10013,HM/HM-SH")],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/devices/{device_id}",
        "/tenants/{tenant}/devices/{device}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/devices/{device_id}/why",
        "/tenants/{tenant}/devices/{device}/why",
        CHECK,
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/devices/{device_id}/revoke",
        "/tenants/{tenant}/devices/{enrolled}/revoke",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/devices/{device_id}/enrolment-code",
        "/tenants/{tenant}/devices/{device}/enrolment-code",
        &[],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/devices/{device_id}/delete",
        "/tenants/{tenant}/devices/{enrolled}/delete",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/explain",
        "/tenants/{tenant}/explain",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/explain",
        "/tenants/{tenant}/explain",
        CHECK,
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/explain/request",
        "/tenants/{tenant}/explain/request",
        &[(
            "request",
            "package_name={package}&version_code=0&device_id=PDA001",
        )],
        Viewer,
    ),
    (
        "get /tenants/{tenant_id}/org",
        "/tenants/{tenant}/org",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/org",
        "/tenants/{tenant}/org",
        &[("csv", "HM,HM-SH,800{number},,,,")],
        Admin,
    ),
    (
        "get /tenants/{tenant_id}/org.csv",
        "/tenants/{tenant}/org.csv",
        &[],
        Viewer,
    ),
    (
        "get /tenants/{tenant_id}/pushes",
        "/tenants/{tenant}/pushes",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/pushes",
        "/tenants/{tenant}/pushes",
        &[
            ("target_info", "{device}@stores"),
            ("package_push_info.pack_url", "https://files.example/a.amr"),
            ("package_push_info.app_id", "1"),
            ("package_push_info.app_type", "tinyApp"),
            ("action", "preview"),
        ],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/pushes/{push_id}",
        "/tenants/{tenant}/pushes/{push}",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/pushes/{push_id}/withdraw",
        "/tenants/{tenant}/pushes/{push}/withdraw",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/pins",
        "/tenants/{tenant}/pins",
        &[],
        Viewer,
    ),
    (
        "post /tenants/{tenant_id}/pins",
        "/tenants/{tenant}/pins",
        &[
            ("package_name", "{package}"),
            ("identifier", "{identifier}"),
            ("device_id", "PDA001"),
            ("mode", "hold"),
            ("reason", "stock-taking"),
        ],
        Publisher,
    ),
    (
        "post /tenants/{tenant_id}/pins/{pin_id}/delete",
        "/tenants/{tenant}/pins/{pin}/delete",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/people",
        "/tenants/{tenant}/people",
        &[],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/people",
        "/tenants/{tenant}/people",
        &[
            ("username", "new-{number}"),
            ("password", "a long password"),
            ("role", "viewer"),
        ],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/people/{id}",
        "/tenants/{tenant}/people/{user}",
        &[("role", "publisher"), ("enabled", "true")],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/people/{id}/delete",
        "/tenants/{tenant}/people/{user}/delete",
        &[],
        Admin,
    ),
    (
        "get /tenants/{tenant_id}/keys",
        "/tenants/{tenant}/keys",
        &[],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/keys/app",
        "/tenants/{tenant}/keys/app",
        &[("name", "SDK"), ("role", "device")],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/keys/app/{id}/rotate",
        "/tenants/{tenant}/keys/app/{app_key}/rotate",
        &[],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/keys/app/{id}/delete",
        "/tenants/{tenant}/keys/app/{app_key}/delete",
        &[],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/keys/device",
        "/tenants/{tenant}/keys/device",
        &[("name", "handhelds")],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/keys/device/{id}/delete",
        "/tenants/{tenant}/keys/device/{device_key}/delete",
        &[],
        Admin,
    ),
    (
        "get /tenants/{tenant_id}/tokens",
        "/tenants/{tenant}/tokens",
        &[],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/tokens",
        "/tenants/{tenant}/tokens",
        &[("name", "ci"), ("role", "publisher")],
        Admin,
    ),
    (
        "post /tenants/{tenant_id}/tokens/{id}/delete",
        "/tenants/{tenant}/tokens/{token}/delete",
        &[],
        Admin,
    ),
    (
        "get /tenants/{tenant_id}/settings",
        "/tenants/{tenant}/settings",
        &[],
        Platform,
    ),
    (
        "post /tenants/{tenant_id}/settings",
        "/tenants/{tenant}/settings",
        &[("name", "Renamed"), ("enrolment", "key")],
        Platform,
    ),
    (
        "post /tenants/{tenant_id}/settings/switches",
        "/tenants/{tenant}/settings/switches",
        &[("enabled", "true"), ("offers_enabled", "true")],
        Platform,
    ),
    (
        "get /tenants/{tenant_id}/audit",
        "/tenants/{tenant}/audit",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/audit.csv",
        "/tenants/{tenant}/audit.csv",
        &[],
        Publisher,
    ),
    (
        "get /tenants/{tenant_id}/audit.jsonl",
        "/tenants/{tenant}/audit.jsonl",
        &[],
        Publisher,
    ),
];

/// Streams of live pages, which do not end by themselves: route, an example path, the lowest role with permission.
const STREAMS: &[(&str, &str, Least)] = &[
    ("get /events", "/events", Platform),
    (
        "get /tenants/{tenant_id}/events",
        "/tenants/{tenant}/events",
        Viewer,
    ),
    (
        "get /tenants/{tenant_id}/pushes/{push_id}/events",
        "/tenants/{tenant}/pushes/{push}/events",
        Viewer,
    ),
];

/// Returns the paths of all pages for signed-in people. They contain placeholders for objects.
pub(super) fn pages() -> impl Iterator<Item = &'static str> {
    // Exports are files. Their paths have an extension.
    let is_page = |row: &&Row| row.0.starts_with("get ") && !row.0.contains('.');
    let rows = ROWS.iter().filter(is_page).map(|row| row.1);
    std::iter::once("").chain(rows)
}

#[test]
fn every_page_and_form_has_a_row() {
    let mut routes: Vec<_> = slipway::console::ROUTES
        .iter()
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let mut listed: Vec<_> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    listed.extend(PUBLIC.map(str::to_owned));
    listed.extend(STREAMS.iter().map(|(route, ..)| (*route).to_owned()));
    routes.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, routes);
}

async fn every_role_sees_what_it_may_and_nothing_else(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for (number, (role, who)) in [("viewer", Viewer), ("publisher", Publisher), ("admin", Admin)]
        .into_iter()
        .enumerate()
    {
        let username = format!("console-{role}");
        make_person(&admin, TENANT, &username, role).await;
        let browser = Browser::signed_in(&app, &username, PASSWORD).await;
        let objects = Objects::make(&app, &admin, TENANT, number).await;
        try_each(browser, &objects, who).await;
    }
    let objects = Objects::make(&app, &admin, TENANT, 9).await;
    try_each(
        Browser::signed_in(&app, ADMIN, PASSWORD).await,
        &objects,
        Platform,
    )
    .await;
}

async fn try_each(mut browser: Browser, objects: &Objects, who: Least) {
    for row in ROWS {
        let page = send(&mut browser, objects, row).await;
        let context = format!("{} by {}: {}", row.0, who as u8, page.text);
        if who >= row.3 {
            // Only the form for the password is refused here.
            let is_done =
                page.status == 200 || page.status == 303 || (row.0 == "post /account" && page.status == 400);
            assert!(is_done, "{} {context}", page.status);
        } else {
            assert_eq!(page.status, 403, "{context}");
        }
    }
}

async fn streams_follow_roles_and_tenants(database: TestDatabase) {
    const OTHER: i64 = 20_000_000;
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    make_person(&admin, TENANT, "viewer", "viewer").await;
    let stranger = app.tenant_admin(OTHER).await;
    make_person(&stranger, OTHER, "stranger", "admin").await;
    let viewer = Browser::signed_in(&app, "viewer", PASSWORD).await;
    let stranger = Browser::signed_in(&app, "stranger", PASSWORD).await;
    let platform = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    for (route, path, least) in STREAMS {
        let path = format!("/console{}", objects.fill(path));
        let is_of_tenant = *least == Viewer;
        for (browser, expected) in [
            (&platform, 200),
            (&viewer, if is_of_tenant { 200 } else { 403 }),
            (&stranger, if is_of_tenant { 404 } else { 403 }),
        ] {
            let answer = browser.open(&path).await;
            assert_eq!(answer.status().as_u16(), expected, "{route}");
        }
    }
}

async fn send(browser: &mut Browser, objects: &Objects, row: &Row) -> Page {
    let path = format!("/console{}", objects.fill(row.1));
    if row.0.starts_with("get ") {
        return browser.get(&path).await;
    }
    let fields: Vec<_> = row
        .2
        .iter()
        .map(|(name, value)| (*name, objects.fill(value)))
        .collect();
    if row.2 == FILE {
        let (name, content) = FILE[0];
        let (name, content) = (objects.fill(name), objects.fill(content));
        return browser.upload(&path, &name, content.as_bytes()).await;
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    browser.post(&path, &fields).await
}

async fn another_tenant_looks_like_one_that_is_not_there(database: TestDatabase) {
    const OTHER: i64 = 20_000_000;
    const ABSENT: i64 = 30_000_000;
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    let stranger = app.tenant_admin(OTHER).await;
    make_person(&stranger, OTHER, "stranger", "admin").await;
    let mut browser = Browser::signed_in(&app, "stranger", PASSWORD).await;
    let before = crate::api::dump::dump(&admin, TENANT).await;
    for row in ROWS.iter().filter(|row| row.1.contains("{tenant}")) {
        let absent_path = row.1.replace("{tenant}", &ABSENT.to_string());
        let absent: Row = (row.0, absent_path.leak(), row.2, row.3);
        let (there, nowhere) = (
            send(&mut browser, &objects, row).await,
            send(&mut browser, &objects, &absent).await,
        );
        assert_eq!(
            (there.status, nowhere.status),
            (404, 404),
            "{}: {}",
            row.0,
            there.text
        );
        // Pages differ only in address and request id.
        let plain = |page: &Page, tenant: i64| {
            let id = page.header("x-request-id").to_owned();
            page.text.replace(&id, "").replace(&tenant.to_string(), "")
        };
        assert_eq!(plain(&there, TENANT), plain(&nowhere, ABSENT), "{}", row.0);
    }
    assert_eq!(crate::api::dump::dump(&admin, TENANT).await, before);
}

async fn a_browser_without_a_session_is_redirected_to_sign_in(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    let mut browser = Browser::new(&app);
    for (route, path, ..) in ROWS {
        let path = format!("/console{}", objects.fill(path));
        let (method, _) = route.split_once(' ').unwrap();
        let page = browser
            .send(method.to_uppercase().parse().unwrap(), &path, &[], &[])
            .await;
        assert_eq!(page.status, 303, "{route}: {}", page.text);
        assert!(
            page.location().starts_with("/console/sign-in"),
            "{route}: {}",
            page.location()
        );
    }
}

on_both_databases!(
    every_role_sees_what_it_may_and_nothing_else,
    streams_follow_roles_and_tenants,
    another_tenant_looks_like_one_that_is_not_there,
    a_browser_without_a_session_is_redirected_to_sign_in,
);
