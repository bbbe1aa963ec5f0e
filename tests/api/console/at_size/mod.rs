//! Time, statements and bytes of every page for a tenant with 10,000 apps, 115,000 releases and a million devices. Prints
//! a table for each database:
//! `cargo test --release --test main at_size -- --ignored --nocapture --test-threads 1`.

mod fill;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use slipway::clock::Clock as _;
use slipway::services::adoption::counting::count_due;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::round_trips::{RoundTrip, RoundTripProxy};

use self::fill::{LARGE, SMALL, Size, copy_days, device_id, fill, put_directory};
use super::browser::{Browser, Page};
use super::objects::Objects;
use super::roles::pages;
use crate::api::harness::{ADMIN, PASSWORD, TENANT, TestApp};
use crate::api::operations::make_person;

/// Requests of each page.
const REQUESTS: usize = 15;
/// Maximum median time of a page in a release build.
const MEDIAN: Duration = Duration::from_millis(100);

/// MD5 of the releases that [`fill`] copies.
const RELEASE_MD5: &str = "00000000000000000000000000000001";

/// Lists with each of their filters, and pages of other objects than [`Objects`]. `{known}` is a device.
const FILTERED: [&str; 56] = [
    "/tenants/{tenant}/apps/com.example.a00007",
    "/tenants/{tenant}/apps/com.example.a00007/resources/com.example.a00007",
    "/tenants/{tenant}/apps/{package}/resources/{package}.r00007",
    "/tenants/{tenant}/search?q=com.example.a",
    "/tenants/{tenant}/search?q={known}",
    "/tenants/{tenant}/search?q=ff",
    "/tenants/{tenant}/search?q=trace-00007",
    "/tenants/{tenant}/search?q={push}",
    "/tenants/{tenant}/search?q={package}.r0",
    "/tenants/{tenant}/search?q=HM/R7/S7",
    "/tenants/{tenant}/search?q=S7",
    "/tenants/{tenant}/search?q={artifact}",
    "/tenants/{tenant}/search?q={md5}",
    "/tenants/{tenant}/search?q=com.example.a0000",
    "/tenants/{tenant}/devices?id=ff",
    "/tenants/{tenant}/devices?org=HM",
    "/tenants/{tenant}/devices?org=HM/R7",
    "/tenants/{tenant}/devices?org=HM/R7/S7",
    "/tenants/{tenant}/devices?org=none",
    "/tenants/{tenant}/devices?device_type=T7",
    "/tenants/{tenant}/devices?device_type=rare",
    "/tenants/{tenant}/devices?device_type=none",
    "/tenants/{tenant}/devices?project_id=stores",
    "/tenants/{tenant}/devices?project_id=none",
    "/tenants/{tenant}/devices?package_name={package}",
    "/tenants/{tenant}/devices?package_name=com.example.a00007",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.part",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.r00007",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.part&version_code=3",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.part&version_code=77",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.r00007&version_code=3",
    "/tenants/{tenant}/devices?package_name={package}&identifier={package}.part&version_code=3&org=HM/R7/S7",
    "/tenants/{tenant}/devices?project_id=stores&device_type=T7&org=HM/R7",
    "/tenants/{tenant}/devices/{known}",
    "/tenants/{tenant}/org?path=HM",
    "/tenants/{tenant}/org?path=HM/R7",
    "/tenants/{tenant}/pushes?trace_id=trace-00007",
    "/tenants/{tenant}/pushes?trace_id=none",
    "/tenants/{tenant}/pins?on_device={known}",
    "/tenants/{tenant}/pins?on_node=HM/R7",
    "/tenants/{tenant}/pins?package_name={package}",
    "/tenants/{tenant}/pins?package_name={package}&identifier={package}.part",
    "/tenants/{tenant}/pins?package_name={package}&identifier={package}.r00007",
    "/tenants/{tenant}/artifacts?kind=apk",
    "/tenants/{tenant}/artifacts?package_name=com.example.a00007",
    "/tenants/{tenant}/artifacts?unused=true",
    "/tenants/{tenant}/artifacts?damaged=true",
    "/tenants/{tenant}/audit?actor_name=person-00007",
    "/tenants/{tenant}/audit?action=none",
    "/tenants/{tenant}/audit?object_type=release",
    "/tenants/{tenant}/audit?object_id=release-00007",
    "/tenants/{tenant}/audit?object_type=none",
    "/tenants/{tenant}/audit?from=2026-03-01&until=2026-03-02",
    "/tenants/{tenant}/audit?from=2026-01-01&until=2026-02-01",
    "/tenants/{tenant}/audit?from=2026-01-01&until=2026-02-01&action=none",
    "/tenants/{tenant}/audit?until=2026-03-01&action=release.publish",
];

/// Figures of one page.
struct Figures {
    /// `None` without a proxy that counts them.
    statements: Option<usize>,
    median: Duration,
    bytes: usize,
}

/// Figures by path with placeholders, since the ids of objects differ from database to database.
type Measured = BTreeMap<String, Figures>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints figures"]
async fn every_page_at_size_on_sqlite() {
    let small = measure(TestDatabase::sqlite().await, None, &SMALL).await;
    let large = measure(TestDatabase::sqlite().await, None, &LARGE).await;
    report("SQLite", &small, &large);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints figures"]
async fn every_page_at_size_on_postgres() {
    let mut measured = Vec::new();
    for size in [SMALL, LARGE] {
        let database = TestDatabase::postgres().await;
        let (proxy, url) = RoundTripProxy::start(&database.url).await;
        measured.push(measure(TestDatabase::at(&url).await, Some(&proxy), &size).await);
    }
    report("PostgreSQL", &measured[0], &measured[1]);
}

/// Fills a database and requests every page.
async fn measure(database: TestDatabase, proxy: Option<&RoundTripProxy>, size: &Size) -> Measured {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let objects = Objects::make(&app, &admin, TENANT, 0).await;
    make_person(&admin, TENANT, "tenant-admin", "admin").await;
    put_directory(&admin, size).await;
    let TestApp {
        running, database, ..
    } = app;
    running.stop().await.unwrap();
    let began = Instant::now();
    fill(&database.url, size).await;
    eprintln!("{} devices inserted in {:?}", size.devices, began.elapsed());

    let app = TestApp::start_with(database, |config| {
        // Fewer statements of background tasks disturb the count.
        config.poll_interval_ms = 60_000;
        config.hints = false;
    })
    .await;
    // The server's own task may have begun to count.
    while count_due(&app.running.context, "this test")
        .await
        .unwrap()
        .is_none()
    {
        app.clock.set(app.clock.now() + TimeDelta::hours(1));
    }
    copy_days(&app.database.url).await;
    let mut browsers = [
        Browser::signed_in(&app, "tenant-admin", PASSWORD).await,
        Browser::signed_in(&app, ADMIN, PASSWORD).await,
    ];
    let mut measured = Measured::new();
    for path in pages().chain(FILTERED) {
        let filled = objects.fill(
            &path
                .replace("{known}", &device_id(7))
                .replace("{md5}", RELEASE_MD5),
        );
        let is_of_platform = !path.contains("/tenants/") || path.ends_with("/settings");
        let browser = &mut browsers[usize::from(is_of_platform)];
        let (page, figures) = request(browser, proxy, &format!("/console{filled}")).await;
        if let Some(next) = next_page(&page) {
            let (_, figures) = request(browser, proxy, &next).await;
            measured.insert(format!("{path} (next page)"), figures);
        }
        measured.insert(path.to_owned(), figures);
    }
    app.running.stop().await.unwrap();
    measured
}

async fn request(browser: &mut Browser, proxy: Option<&RoundTripProxy>, path: &str) -> (Page, Figures) {
    let (mut times, mut statements, mut last) = (Vec::new(), Vec::new(), None);
    for _ in 0..REQUESTS {
        if let Some(proxy) = proxy {
            proxy.take();
        }
        let began = Instant::now();
        let page = browser.get(path).await;
        times.push(began.elapsed());
        if let Some(proxy) = proxy {
            statements.push(count_by_text(&proxy.take()));
        }
        // A search that finds one object leads to it.
        assert!(matches!(page.status, 200 | 303), "{path}: {}", page.text);
        last = Some(page);
    }
    times.sort_unstable();
    let page = last.unwrap();
    let figures = Figures {
        statements: statements
            .into_iter()
            .reduce(common)
            .map(|texts| texts.values().sum()),
        median: times[REQUESTS / 2],
        bytes: page.text.len(),
    };
    (page, figures)
}

/// Counts statements by their text without numbers, such as a time.
fn count_by_text(trips: &[RoundTrip]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for trip in trips.iter().filter(|trip| trip.is_of_call()) {
        let text = trip
            .text
            .replace(|character: char| character.is_ascii_digit(), "");
        *counts.entry(text).or_default() += 1;
    }
    counts
}

/// Returns the statements that both requests made. Those of background tasks, and of connections that prepare their
/// statements, accompany some requests only.
fn common(mut counts: BTreeMap<String, usize>, other: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    for (text, count) in &mut counts {
        *count = (*count).min(other.get(text).copied().unwrap_or(0));
    }
    counts
}

fn next_page(page: &Page) -> Option<String> {
    let (_, rest) = page.text.split_once("rel=\"next\" href=\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(path.replace("&#38;", "&"))
}

/// Prints the figures, then fails for pages that are slow, or whose statements grow with the tables.
fn report(database: &str, small: &Measured, large: &Measured) {
    eprintln!(
        "\n{database}: medians of {REQUESTS} requests, with {} devices | with {}",
        SMALL.devices, LARGE.devices
    );
    eprintln!("| page | ms | statements | bytes |\n| --- | --- | --- | --- |");
    let mut failed = Vec::new();
    for (path, at_size) in large {
        let shown = path.replace("/tenants/{tenant}", "…");
        let before = small.get(path);
        let statements = |figures: &Figures| {
            figures
                .statements
                .map_or("–".to_owned(), |count| count.to_string())
        };
        eprintln!(
            "| `{shown}` | {} \\| **{}** | {} \\| {} | {} |",
            before.map_or("–".to_owned(), |figures| millis(figures.median)),
            millis(at_size.median),
            before.map_or("–".to_owned(), statements),
            statements(at_size),
            at_size.bytes,
        );
        if at_size.median > MEDIAN && !cfg!(debug_assertions) {
            failed.push(format!("{shown} takes {:?}", at_size.median));
        }
        if before.is_some_and(|before| at_size.statements > before.statements) {
            failed.push(format!("the statements of {shown} grow"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
