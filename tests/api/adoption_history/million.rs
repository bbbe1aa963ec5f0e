//! The count of a million devices in a hundred thousand org nodes during checks. It prints the times:
//! `cargo test --test main a_million_devices -- --ignored --nocapture`.

use std::pin::pin;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait as _, Database, DbBackend};
use serde_json::json;
use slipway::services::adoption::counting::count_due;

use super::{HOLDER, history, merchant, pass};
use crate::api::console::Browser;
use crate::api::harness::{
    ADMIN, CHUKU, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, check_fields, in_tenant, with,
};
use slipway_test_support::database::TestDatabase;

const DEVICES: u32 = 1_000_000;
/// Stores of the org directory, in a hundred regions of one company.
const STORES: u32 = 99_899;
const REGIONS: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints figures"]
async fn a_million_devices_on_sqlite() {
    count_a_million(TestDatabase::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints figures"]
async fn a_million_devices_on_postgres() {
    count_a_million(TestDatabase::postgres().await).await;
}

async fn count_a_million(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    merchant.published(CHUKU, 240).await;
    insert_devices(&app).await;
    put_directory(&merchant).await;
    let quiet = check_for(&merchant, async {
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    for what in ["first", "next"] {
        let mut took = Duration::ZERO;
        let during = check_for(&merchant, async {
            took = time_count(&app).await;
        })
        .await;
        eprintln!("{what} count of {DEVICES} devices, each with two installs: {took:?}");
        eprintln!("  checks before: {quiet}; checks during the count: {during}");
    }
    time_org_page(&app).await;
    let found = history(&merchant.admin, &format!("?identifier={CHUKU}")).await;
    assert_eq!(found["resources"][0]["days"][0]["devices"], DEVICES, "{found}");
}

/// Counts an hour later. The server's own task may hold the lease for a while.
async fn time_count(app: &TestApp) -> Duration {
    loop {
        pass(app, TimeDelta::hours(1));
        let began = Instant::now();
        if count_due(&app.running.context, HOLDER).await.unwrap().is_some() {
            return began.elapsed();
        }
    }
}

async fn put_directory(merchant: &Merchant) {
    let stores = (0..STORES)
        .map(|store| json!({"path": ["HM", format!("R{}", store % REGIONS), format!("S{store}")]}));
    let directory = json!({"nodes": stores.collect::<Vec<_>>()});
    merchant
        .admin
        .put(&in_tenant("/org-directory"), &directory)
        .await
        .expect(200);
}

/// Opens the pages of the top level and of a region.
async fn time_org_page(app: &TestApp) {
    let mut browser = Browser::signed_in(app, ADMIN, PASSWORD).await;
    for (path, devices) in [("", "1\u{202f}000\u{202f}000"), ("?path=HM/R0", "10\u{202f}000")] {
        let began = Instant::now();
        let page = browser.get(&format!("/console/tenants/{TENANT}/org{path}")).await;
        eprintln!(
            "  org page {path:?}: {:?}, {} bytes",
            began.elapsed(),
            page.text.len()
        );
        assert!(page.text.contains(devices), "{}", page.text);
    }
}

/// Inserts the devices in the order of a hash, each with the app and one more resource.
async fn insert_devices(app: &TestApp) {
    let connection = Database::connect(&app.database.url).await.unwrap();
    let (numbers, hash) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            format!("generate_series(1, {DEVICES}) AS numbers (n)"),
            "md5(n::text)",
        ),
        _ => (
            format!(
                "(WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting WHERE n < {DEVICES}) \
                 SELECT n FROM counting) AS numbers"
            ),
            "printf('%08x%08x', n * 2654435761 % 4294967296, n)",
        ),
    };
    let mut statements = vec![format!(
        "INSERT INTO devices (tenant_id, device_id, org_info, source, first_seen_at, last_seen_at, push_sequence) \
         SELECT {TENANT}, {hash}, '[{{\"l1Code\":\"HM\",\"l2Code\":\"R' || (n % {STORES} % {REGIONS}) || \
         '\",\"l3Code\":\"S' || (n % {STORES}) || '\"}}]', 'check', created_at, created_at, 0 FROM {numbers}, apps"
    )];
    for (identifier, versions) in [(PACKAGE, 5), (CHUKU, 40)] {
        statements.push(format!(
            "INSERT INTO device_installs (tenant_id, device_id, package_name, identifier, app_id, version_code, seen_at) \
             SELECT {TENANT}, {hash}, '{PACKAGE}', '{identifier}', id, 200 + n % {versions}, created_at FROM {numbers}, apps"
        ));
    }
    let recording = "UPDATE device_recording SET is_on = ";
    if connection.get_database_backend() == DbBackend::Sqlite {
        statements.insert(0, format!("{recording}1"));
        statements.push(format!("{recording}0"));
    } else {
        for table in ["devices", "device_installs"] {
            let trigger = |state: &str| format!("ALTER TABLE {table} {state} TRIGGER {table}_announce");
            statements.insert(0, trigger("DISABLE"));
            statements.push(trigger("ENABLE ALWAYS"));
        }
    }
    for statement in statements {
        connection.execute_unprepared(&statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Checks as a known device, one check after the other, until `work` ends. Returns a summary of the durations.
async fn check_for(merchant: &Merchant, work: impl Future<Output = ()>) -> String {
    let mut work = pin!(work);
    let mut times = Vec::new();
    let fields = with(check_fields(), json!({"device_id": "A"}));
    loop {
        let began = Instant::now();
        let check = async {
            merchant.device.post("/v1/check", &fields).await.expect(200);
            began.elapsed()
        };
        tokio::select! {
            biased;
            () = &mut work => break,
            time = check => times.push(time),
        }
    }
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 1_000)
            .copied()
            .unwrap_or_default()
    };
    format!(
        "{} checks, median {:?}, p99 {:?}, longest {:?}",
        times.len(),
        at(500),
        at(990),
        times.last().copied().unwrap_or_default()
    )
}
