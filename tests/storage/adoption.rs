//! Times of counts, and the days that result from them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use slipway::storage::adoption::{self, HistorySelection};
use slipway::storage::adoption_counting::{list_due, record_count};
use slipway::storage::{Db, apps, tenants};
use slipway_domain::catalog::adoption::{AdoptionCounts, DailyAdoption, ResourceDay, VersionDevices};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::instant::in_micros;

use super::values::{change, identifier, now, prepare_app, prepare_tenant, scope, tenant, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const APP: &str = "com.hema.wms";
const PART: &str = "com.hema.wms.part";

on_both_databases!(
    a_tenant_is_due_after_the_interval_and_with_a_count_in_the_future,
    days_are_overwritten_listed_and_removed,
    days_of_an_app_that_is_gone_are_not_written,
);

fn at(minutes: i64) -> DateTime<Utc> {
    in_micros(now() + TimeDelta::minutes(minutes))
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
