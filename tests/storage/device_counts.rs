//! Numbers of devices that triggers keep, compared with the devices themselves.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use fastrand::Rng;
use sea_orm::{ConnectionTrait as _, Database, DbBackend, FromQueryResult, Statement};
use slipway::storage::devices::{self, SeenDevice};
use slipway::storage::{Db, device_counts, device_installs};
use slipway_domain::catalog::device::OrgInfo;
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::DeviceId;

use super::values::{identifier, now, package, prepare_app, scope, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const APP: &str = "com.hema.wms";
const PART: &str = "com.hema.wms.part";
/// Steps of the test with random writes.
const STEPS: usize = 120;

on_both_databases!(
    numbers_are_those_of_the_devices_after_any_writes,
    existing_devices_are_counted_by_the_migration,
    the_documented_statements_count_anew,
    pages_have_each_version_once,
    old_installs_and_those_of_no_app_do_not_count,
    changes_are_added_once_by_two_nodes,
);

/// Devices by resource and version, and by places.
type Numbers = (BTreeMap<(String, i64), u64>, BTreeMap<String, u64>);

/// First day whose installs count.
fn since() -> NaiveDate {
    now().date_naive() - TimeDelta::days(30)
}

async fn apply_changes(db: &Db) {
    while device_counts::apply_changes(db, 7).await.unwrap() {}
}

/// Reads all numbers in small pages.
async fn counted(db: &Db) -> Numbers {
    apply_changes(db).await;
    while device_counts::remove_zeros(db, scope(1), 3).await.unwrap() {}
    let reader = device_counts::begin_pages(db).await.unwrap();
    let (mut versions, mut places) = Numbers::default();
    let mut last = None;
    loop {
        let page = device_counts::list_versions(&reader, scope(1), since(), last.as_ref(), 2);
        let page = page.await.unwrap();
        last = page.last().cloned();
        for version in page {
            let count = version.count;
            let key = (count.identifier.to_string(), count.version_code.get());
            assert_eq!(versions.insert(key, count.devices), None, "listed once");
        }
        if last.is_none() {
            break;
        }
    }
    let mut last = None;
    loop {
        let page = device_counts::list_places(&reader, scope(1), last, 2)
            .await
            .unwrap();
        last = page.last().map(|count| count.id);
        for count in page {
            let key = serde_json::to_string(&count.places).unwrap();
            assert_eq!(places.insert(key, count.devices), None, "listed once");
        }
        if last.is_none() {
            break;
        }
    }
    (versions, places)
}

/// Counts the devices themselves.
async fn expected(database: &TestDatabase) -> Numbers {
    #[derive(FromQueryResult)]
    struct Counted {
        key: Option<String>,
        version: i64,
        devices: i64,
    }
    let connection = Database::connect(&database.url).await.unwrap();
    let query = async |text: String| {
        let statement = Statement::from_string(connection.get_database_backend(), text);
        let rows = Counted::find_by_statement(statement).all(&connection).await;
        rows.unwrap()
    };
    let seen_on = match connection.get_database_backend() {
        DbBackend::Postgres => "(seen_at AT TIME ZONE 'UTC')::date",
        _ => "date(seen_at)",
    };
    let installs = query(format!(
        "SELECT identifier AS key, version_code AS version, count(*) AS devices FROM device_installs \
         WHERE tenant_id = 1 AND app_id IS NOT NULL AND {seen_on} >= '{}' GROUP BY identifier, version_code",
        since()
    ));
    let installs = installs.await.into_iter().map(|row| {
        let key = (row.key.unwrap(), row.version);
        (key, u64::try_from(row.devices).unwrap())
    });
    let places = query(
        "SELECT org_info AS key, 0 AS version, count(*) AS devices FROM devices WHERE tenant_id = 1 GROUP BY org_info"
            .replace(" 0 AS", " CAST(0 AS bigint) AS"),
    );
    let places = places.await.into_iter().map(|row| {
        let places: Option<OrgInfo> = row.key.map(|json| serde_json::from_str(&json).unwrap());
        (
            serde_json::to_string(&places).unwrap(),
            u64::try_from(row.devices).unwrap(),
        )
    });
    let numbers = (installs.collect(), places.collect());
    connection.close().await.unwrap();
    numbers
}

fn device(number: usize) -> DeviceId {
    DeviceId::parse(format!("device-{number}")).unwrap()
}

fn random_seen(rng: &mut Rng, number: usize) -> SeenDevice {
    let places = rng.u8(0..4);
    let places = format!(r#"[{{"l1Code":"HM","l2Code":"HM-{places}"}}]"#);
    SeenDevice {
        device: device(number),
        device_type: None,
        org_info: rng.bool().then(|| serde_json::from_str(&places).unwrap()),
        seen_at: in_micros(now() + TimeDelta::hours(rng.i64(-40..1) * 20)),
    }
}

fn random_install(rng: &mut Rng, app: AppId, number: usize) -> Install {
    Install {
        app: (rng.u8(0..5) > 0).then_some(app),
        device: device(number),
        package_name: package(APP),
        identifier: identifier(if rng.bool() { APP } else { PART }),
        version_code: version(rng.i64(1..4)),
        seen_at: in_micros(now() + TimeDelta::hours(rng.i64(-40..1) * 20)),
    }
}

/// Writes random devices as the recorder does: in one transaction, each at most once.
async fn write_randomly(db: &Db, rng: &mut Rng, app: AppId) {
    let mut numbers: Vec<usize> = (0..20).filter(|_| rng.bool()).collect();
    rng.shuffle(&mut numbers);
    let seen = numbers.iter().map(|number| random_seen(rng, *number)).collect();
    let mut installs: Vec<_> = numbers
        .iter()
        .map(|number| random_install(rng, app, *number))
        .collect();
    let gone = installs.split_off(installs.len() * 2 / 3);
    let tx = db.begin().await.unwrap();
    devices::upsert_seen(&tx, scope(1), seen).await.unwrap();
    device_installs::upsert(&tx, scope(1), installs).await.unwrap();
    for install in gone {
        device_installs::delete(&tx, scope(1), &install).await.unwrap();
    }
    if rng.u8(0..4) == 0 {
        devices::delete(&tx, scope(1), &device(rng.usize(0..20)))
            .await
            .unwrap();
    }
    if rng.u8(0..5) > 0 {
        tx.commit().await.unwrap();
    }
}

async fn numbers_are_those_of_the_devices_after_any_writes(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let mut rng = Rng::with_seed(7);
    for step in 0..STEPS {
        write_randomly(db, &mut rng, app.id).await;
        if step % 6 == 0 {
            assert_eq!(counted(db).await, expected(&database).await, "step {step}");
        }
    }
    let before = counted(db).await;
    assert!(before.0.len() >= 5 && before.1.len() >= 4, "{before:?}");
    // The statements of an operator count as well.
    for statement in [
        "UPDATE device_installs SET version_code = version_code + 1 WHERE identifier = 'com.hema.wms'",
        "UPDATE devices SET org_info = NULL WHERE device_id < 'device-15'",
        "DELETE FROM device_installs",
        "DELETE FROM devices WHERE device_id < 'device-15'",
    ] {
        execute(&database, statement).await;
        assert_eq!(counted(db).await, expected(&database).await, "{statement}");
    }
    let is_postgres = database.url.starts_with("postgres");
    write_randomly(db, &mut rng, app.id).await;
    let emptying: &[&str] = if is_postgres {
        &["TRUNCATE devices, device_installs CASCADE"]
    } else {
        &["DELETE FROM device_installs", "DELETE FROM devices"]
    };
    for statement in emptying {
        execute(&database, statement).await;
    }
    assert_eq!(counted(db).await, Numbers::default());
    assert_eq!(count_rows(&database, "install_counts").await, 0);
    assert_eq!(count_rows(&database, "place_counts").await, 0);
}

async fn execute(database: &TestDatabase, statement: &str) {
    let connection = Database::connect(&database.url).await.unwrap();
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
}

async fn count_rows(database: &TestDatabase, table: &str) -> i64 {
    let connection = Database::connect(&database.url).await.unwrap();
    let statement = format!("SELECT count(*) AS it FROM {table}");
    let statement = Statement::from_string(connection.get_database_backend(), statement);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    connection.close().await.unwrap();
    row.try_get::<i64>("", "it").unwrap()
}

async fn existing_devices_are_counted_by_the_migration(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let mut rng = Rng::with_seed(8);
    for _ in 0..10 {
        write_randomly(db, &mut rng, app.id).await;
    }
    let (down, up) = if database.url.starts_with("postgres") {
        (
            include_str!("../../migration/src/m0015_device_counts/postgres_down.sql"),
            include_str!("../../migration/src/m0015_device_counts/postgres_up.sql"),
        )
    } else {
        (
            include_str!("../../migration/src/m0015_device_counts/sqlite_down.sql"),
            include_str!("../../migration/src/m0015_device_counts/sqlite_up.sql"),
        )
    };
    execute(&database, down).await;
    for _ in 0..10 {
        write_randomly(db, &mut rng, app.id).await;
    }
    execute(&database, &format!("BEGIN; {up}; COMMIT")).await;
    assert_eq!(counted(db).await, expected(&database).await);
    write_randomly(db, &mut rng, app.id).await;
    assert_eq!(counted(db).await, expected(&database).await);
}

async fn the_documented_statements_count_anew(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let mut rng = Rng::with_seed(10);
    for _ in 0..10 {
        write_randomly(db, &mut rng, app.id).await;
    }
    apply_changes(db).await;
    write_randomly(db, &mut rng, app.id).await;
    for table in ["install_counts", "place_counts"] {
        execute(&database, &format!("UPDATE {table} SET devices = devices + 1")).await;
    }
    let operations = include_str!("../../docs/operations.md");
    let (_, documented) = operations
        .split_once("```sql\nBEGIN;\nLOCK TABLE devices")
        .unwrap();
    let (documented, _) = documented.split_once("```").unwrap();
    let mut documented = format!("BEGIN;\nLOCK TABLE devices{documented}");
    if !database.url.starts_with("postgres") {
        let is_of_postgres = |line: &&str| line.starts_with("LOCK") || line.contains("_changes");
        let lines: Vec<_> = documented.lines().filter(|line| !is_of_postgres(line)).collect();
        documented = lines
            .join("\n")
            .replace("(seen_at AT TIME ZONE 'UTC')::date", "substr(seen_at, 1, 10)");
    }
    execute(&database, &documented).await;
    assert_eq!(counted(db).await, expected(&database).await);
}

async fn write(db: &Db, app: Option<AppId>, installs: &[(&str, &str, i64, i64)]) {
    let seen = installs.iter().map(|(device, ..)| SeenDevice {
        device: DeviceId::parse(*device).unwrap(),
        device_type: None,
        org_info: None,
        seen_at: in_micros(now()),
    });
    let mut seen: Vec<_> = seen.collect();
    seen.dedup_by(|a, b| a.device == b.device);
    let installs = installs
        .iter()
        .map(|(device, resource, version_code, days)| Install {
            app,
            device: DeviceId::parse(*device).unwrap(),
            package_name: package(APP),
            identifier: identifier(resource),
            version_code: version(*version_code),
            seen_at: in_micros(now() + TimeDelta::days(*days)),
        });
    let tx = db.begin().await.unwrap();
    devices::upsert_seen(&tx, scope(1), seen).await.unwrap();
    device_installs::upsert(&tx, scope(1), installs.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn versions(of: &[(&str, i64, u64)]) -> BTreeMap<(String, i64), u64> {
    let of = of.iter();
    of.map(|(resource, version, devices)| (((*resource).to_owned(), *version), *devices))
        .collect()
}

async fn pages_have_each_version_once(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let installs = [
        ("A", APP, 5, 0),
        ("A", PART, 1, 0),
        ("B", APP, 5, -1),
        ("C", APP, 6, -2),
        ("C", PART, 1, -30),
        ("D", PART, 2, 0),
    ];
    write(db, Some(app.id), &installs).await;
    let expected = versions(&[(APP, 5, 2), (APP, 6, 1), (PART, 1, 2), (PART, 2, 1)]);
    let (versions, places) = counted(db).await;
    assert_eq!(versions, expected);
    assert_eq!(places, BTreeMap::from([("null".to_owned(), 4)]));
}

async fn old_installs_and_those_of_no_app_do_not_count(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP]).await;
    write(db, Some(app.id), &[("A", APP, 5, -30), ("B", APP, 5, -31)]).await;
    write(db, None, &[("C", APP, 5, 0)]).await;
    assert_eq!(counted(db).await.0, versions(&[(APP, 5, 1)]));
}

async fn changes_are_added_once_by_two_nodes(database: TestDatabase) {
    let (db, other) = (&database.db, database.another_node().await);
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let mut rng = Rng::with_seed(9);
    for _ in 0..10 {
        write_randomly(db, &mut rng, app.id).await;
    }
    tokio::join!(apply_changes(db), apply_changes(&other), apply_changes(&other));
    assert_eq!(counted(db).await, expected(&database).await);
}
