//! Steps of counting devices, and the resulting days.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use slipway::storage::adoption::{self, HistorySelection};
use slipway::storage::adoption_counting::{count_step, list_due, record_count};
use slipway::storage::devices::{self, SeenDevice};
use slipway::storage::{Db, apps, device_installs, tenants};
use slipway_domain::catalog::adoption::{AdoptionCounts, DailyAdoption, ResourceDay, VersionDevices};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::ids::AppId;
use slipway_domain::catalog::install::Install;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::DeviceId;

use super::values::{change, identifier, now, package, prepare_app, prepare_tenant, scope, tenant, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const APP: &str = "com.hema.wms";
const PART: &str = "com.hema.wms.part";

on_both_databases!(
    steps_count_each_install_once,
    old_installs_and_those_of_no_app_do_not_count,
    a_tenant_is_due_after_the_interval_and_with_a_count_in_the_future,
    days_are_overwritten_listed_and_removed,
    days_of_an_app_that_is_gone_are_not_written,
);

fn at(minutes: i64) -> DateTime<Utc> {
    in_micros(now() + TimeDelta::minutes(minutes))
}

async fn write(db: &Db, app: Option<AppId>, installs: &[(&str, &str, i64, i64)]) {
    let seen = installs.iter().map(|(device, ..)| SeenDevice {
        device: DeviceId::parse(*device).unwrap(),
        device_type: None,
        org_info: None,
        seen_at: at(0),
    });
    let mut seen: Vec<_> = seen.collect();
    seen.dedup_by(|a, b| a.device == b.device);
    let installs = installs
        .iter()
        .map(|(device, resource, version_code, minutes)| Install {
            app,
            device: DeviceId::parse(*device).unwrap(),
            package_name: package(APP),
            identifier: identifier(resource),
            version_code: version(*version_code),
            seen_at: at(*minutes),
        });
    let tx = db.begin().await.unwrap();
    devices::upsert_seen(&tx, scope(1), seen).await.unwrap();
    device_installs::upsert(&tx, scope(1), installs.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Returns the sums of all steps, and the number of steps.
async fn count(db: &Db, installs: u64) -> (Vec<(String, i64, u64)>, usize) {
    let mut counts = std::collections::BTreeMap::new();
    let (mut last, mut steps) = (None::<String>, 0);
    loop {
        let step = count_step(db, scope(1), last.as_deref(), at(0), installs)
            .await
            .unwrap();
        steps += 1;
        for count in step.counts {
            let count = count.count;
            let key = (count.identifier.to_string(), count.version_code.get());
            *counts.entry(key).or_default() += count.devices;
        }
        last = step.last_device;
        if last.is_none() {
            break;
        }
    }
    let counts = counts.into_iter();
    let counts = counts.map(|((identifier, version), devices)| (identifier, version, devices));
    (counts.collect(), steps)
}

async fn steps_count_each_install_once(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let installs = [
        ("A", APP, 5, 0),
        ("A", PART, 1, 0),
        ("B", APP, 5, 0),
        ("C", APP, 6, 0),
        ("C", PART, 1, 0),
        ("D", PART, 2, 0),
    ];
    write(db, Some(app.id), &installs).await;
    let expected: Vec<_> = [(APP, 5, 2), (APP, 6, 1), (PART, 1, 2), (PART, 2, 1)]
        .map(|(resource, version, devices)| (resource.to_owned(), version, devices))
        .into();
    // The installs of a device are counted in one step, and the last step is empty if the one before it was full.
    for (installs, steps) in [(1, 5), (2, 3), (3, 3), (6, 2), (7, 1), (10_000, 1)] {
        assert_eq!(count(db, installs).await, (expected.clone(), steps), "{installs}");
    }
}

async fn old_installs_and_those_of_no_app_do_not_count(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP]).await;
    write(db, Some(app.id), &[("A", APP, 5, 0), ("B", APP, 5, -1)]).await;
    write(db, None, &[("C", APP, 5, 0)]).await;
    assert_eq!(count(db, 2).await.0, [(APP.to_owned(), 5, 1)]);
}

async fn a_tenant_is_due_after_the_interval_and_with_a_count_in_the_future(database: TestDatabase) {
    let db = &database.db;
    prepare_tenant(db, 1).await;
    change(db, 2, async |tx| {
        tenants::insert(tx, tenant(2), now()).await.map(drop)
    })
    .await;
    let due = async |minutes: i64, after: Option<i64>, limit: u64| {
        let after = after.map(|number| scope(number).tenant());
        let found = list_due(db, after, at(minutes), TimeDelta::hours(1), limit).await;
        let found = found.unwrap();
        found.iter().map(|due| due.tenant().get()).collect::<Vec<_>>()
    };
    assert_eq!(due(0, None, 9).await, [1, 2]);
    assert_eq!(due(0, None, 1).await, [1]);
    assert_eq!(due(0, Some(1), 9).await, [2]);
    record_count(db, scope(1), at(0)).await.unwrap();
    assert_eq!(due(0, None, 9).await, [2]);
    assert_eq!(due(59, None, 9).await, [2]);
    assert_eq!(due(60, None, 9).await, [1, 2]);
    record_count(db, scope(1), at(120)).await.unwrap();
    assert_eq!(due(60, None, 9).await, [2]);
    assert_eq!(due(59, None, 9).await, [1, 2]);
}

fn day(app: &App, resource: &str, number: u32, of: &[(i64, u64)], others: u64) -> ResourceDay {
    let counts = of.iter().map(|&(version_code, devices)| VersionDevices {
        version_code: version(version_code),
        devices,
    });
    ResourceDay {
        app: app.id,
        identifier: identifier(resource),
        adoption: DailyAdoption {
            day: NaiveDate::from_ymd_opt(2026, 3, number).unwrap(),
            counts: AdoptionCounts {
                versions: counts.collect(),
                others,
            },
        },
    }
}

async fn save(db: &Db, days: &[ResourceDay]) {
    let tx = db.begin().await.unwrap();
    adoption::upsert(&tx, scope(1), days).await.unwrap();
    tx.commit().await.unwrap();
}

async fn days_are_overwritten_listed_and_removed(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP, PART]).await;
    let first = day(&app, APP, 1, &[(6, 1), (5, i64::MAX as u64)], 2);
    let second = day(&app, APP, 2, &[(6, 3)], 0);
    let of_part = day(&app, PART, 2, &[], 1);
    save(db, &[day(&app, APP, 1, &[(5, 9)], 0)]).await;
    save(db, &[first.clone(), second.clone(), of_part.clone()]).await;
    let list = async |resources: &[&str], from: &ResourceDay, to: &ResourceDay| {
        let identifiers: Vec<_> = resources.iter().map(|text| identifier(text)).collect();
        let of = HistorySelection {
            app: app.id,
            identifiers: &identifiers,
            from: from.adoption.day,
            to: to.adoption.day,
        };
        let found = adoption::list(db, scope(1), of).await.unwrap();
        assert!(adoption::list(db, scope(2), of).await.unwrap().is_empty());
        found
    };
    assert_eq!(
        list(&[PART, APP], &first, &second).await,
        [first.clone(), second.clone(), of_part.clone()]
    );
    assert_eq!(
        list(&[APP], &second, &second).await,
        std::slice::from_ref(&second)
    );
    let page = async |after: Option<&ResourceDay>| {
        let day = second.adoption.day;
        adoption::list_of_day(db, scope(1), day, after, 1).await.unwrap()
    };
    assert_eq!(page(None).await, std::slice::from_ref(&second));
    assert_eq!(page(Some(&second)).await, std::slice::from_ref(&of_part));
    assert!(page(Some(&of_part)).await.is_empty());

    let tx = db.begin().await.unwrap();
    adoption::delete(&tx, scope(1), &of_part).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        list(&[PART, APP], &first, &second).await,
        [first.clone(), second.clone()]
    );
    let delete_before = async |day: &ResourceDay, limit: u64| {
        adoption::delete_before(db, day.adoption.day, limit)
            .await
            .unwrap()
    };
    assert_eq!(delete_before(&first, 9).await, 0);
    assert_eq!(delete_before(&second, 9).await, 1);
    assert_eq!(list(&[APP], &first, &second).await, [second]);
}

async fn days_of_an_app_that_is_gone_are_not_written(database: TestDatabase) {
    let db = &database.db;
    let app = prepare_app(db, APP, &[APP]).await;
    let gone = super::values::app("com.gone");
    change(db, 1, async |tx| {
        apps::insert(tx, gone.clone(), now()).await?;
        apps::delete(tx, gone.id).await.map(drop)
    })
    .await;
    let kept = day(&app, APP, 1, &[(5, 1)], 0);
    save(db, &[day(&gone, "com.gone", 1, &[(5, 1)], 0), kept.clone()]).await;
    let stored = adoption::list_of_day(db, scope(1), kept.adoption.day, None, 9).await;
    assert_eq!(stored.unwrap(), [kept]);
}
