//! The audit, leases and settings.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait as _, Database, DbBackend};
use serde_json::json;
use slipway::storage::audit;
use slipway::storage::{leases, settings};
use slipway_domain::catalog::audit::{AuditEvent, AuditFilter};
use slipway_domain::catalog::ids::{AuditId, TenantId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::page::PageRequest;

use super::values::{now, scope};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    the_audit_is_listed_newest_first,
    audited_changes_of_a_period_are_found_whether_few_or_many_are_in_it,
    a_lease_has_one_holder,
    of_several_takers_one_gets_the_lease,
    a_setting_is_written_once_or_over,
);

fn audit_event(tenant: Option<i64>, at: DateTime<Utc>, action: &str) -> AuditEvent {
    AuditEvent {
        id: slipway::random::id::<AuditId>(),
        tenant: tenant.map(|number| TenantId::parse(number).unwrap()),
        at: in_micros(at),
        actor_key: "user:1".to_owned(),
        actor_name: "ada".to_owned(),
        action: action.to_owned(),
        object_type: "app".to_owned(),
        object_id: "com.hema.wms".to_owned(),
        before: None,
        after: Some(JsonText::of(&json!({"nul": "\u{0}"}))),
        request_id: None,
    }
}

async fn the_audit_is_listed_newest_first(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let event = |tenant, action| audit_event(tenant, now(), action);
    // The tenant need not exist, or no longer.
    let events = [
        event(Some(1), "create"),
        event(Some(2), "other"),
        event(None, "global"),
        event(Some(1), "delete"),
    ];
    let tx = db.begin().await.unwrap();
    for event in &events {
        audit::insert(&tx, event.clone());
    }
    tx.commit().await.unwrap();
    let all = AuditFilter::default();
    let first = audit::list(db, scope(1), &all, &PageRequest::first(1))
        .await
        .unwrap();
    assert_eq!(first.items, [events[3].clone()]);
    let rest = audit::list(
        db,
        scope(1),
        &all,
        &PageRequest {
            limit: 1,
            after: first.next,
        },
    )
    .await
    .unwrap();
    assert_eq!((rest.items, rest.next), (vec![events[0].clone()], None));
}

async fn audited_changes_of_a_period_are_found_whether_few_or_many_are_in_it(database: TestDatabase) {
    const MANY: u32 = 50_001;
    let db = &database.db;
    db.migrate().await.unwrap();
    let connection = Database::connect(&database.url).await.unwrap();
    let first = in_micros(now());
    let later = |days| first + TimeDelta::days(days);
    let events = [
        audit_event(Some(1), first, "create"),
        audit_event(Some(1), later(1), "update"),
        audit_event(Some(2), later(1), "other"),
        audit_event(Some(1), later(2), "delete"),
    ];
    let tx = db.begin().await.unwrap();
    for event in &events {
        audit::insert(&tx, event.clone());
    }
    tx.commit().await.unwrap();
    let find = async |from: i64, until: i64, action: Option<&str>| {
        let filter = AuditFilter {
            from: Some(later(from)),
            until: Some(later(until)),
            action: action.map(str::to_owned),
            ..AuditFilter::default()
        };
        let mut found = Vec::new();
        let mut page = PageRequest::first(2);
        loop {
            let listed = audit::list(db, scope(1), &filter, &page).await.unwrap();
            found.extend(listed.items);
            page.after = listed.next;
            // Only the first of many are of interest.
            if page.after.is_none() || found.len() > 4 {
                return found;
            }
        }
    };
    let [created, updated, _, deleted] = events;
    let assert_found = async || {
        assert_eq!(find(0, 1, Some("create")).await, std::slice::from_ref(&created));
        assert_eq!(find(1, 2, None).await, std::slice::from_ref(&updated));
        assert_eq!(find(0, 2, Some("update")).await, std::slice::from_ref(&updated));
        assert_eq!(find(0, 3, Some("delete")).await, std::slice::from_ref(&deleted));
        assert_eq!(find(3, 4, None).await, []);
        assert_eq!(find(0, 3, Some("none")).await, []);
    };
    assert_eq!(
        find(0, 3, None).await,
        [deleted.clone(), updated.clone(), created.clone()]
    );
    assert_found().await;
    // Copies with lower ids, at the time of the first event.
    let (numbers, id) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            format!("generate_series(1, {MANY}) AS numbers (n)"),
            "CAST(lpad(to_hex(n), 32, '0') AS uuid)",
        ),
        _ => (
            format!(
                "(WITH RECURSIVE counting (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting WHERE n < {MANY}) \
                 SELECT n FROM counting) AS numbers"
            ),
            "unhex(printf('%032x', n))",
        ),
    };
    let copy = format!(
        "INSERT INTO audit_events (id, tenant_id, at, actor_key, actor_name, action, object_type, object_id) \
         SELECT {id}, tenant_id, at, actor_key, actor_name, 'copy', object_type, object_id \
         FROM {numbers}, audit_events WHERE action = 'create'"
    );
    connection.execute_unprepared(&copy).await.unwrap();
    connection.close().await.unwrap();
    assert_found().await;
    let newest = find(0, 3, None).await;
    assert_eq!(newest[..3], [deleted.clone(), updated.clone(), created.clone()]);
    assert_eq!(find(0, 1, Some("copy")).await.len(), 6);
}

async fn a_lease_has_one_holder(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let take = async |holder: &str, seconds: i64| {
        let now = now() + TimeDelta::seconds(seconds);
        leases::try_acquire(db, "cleaning", holder, now, TimeDelta::seconds(10))
            .await
            .unwrap()
    };
    assert!(take("a", 0).await);
    assert!(!take("b", 9).await);
    assert!(take("a", 9).await, "the holder keeps it");
    assert!(!take("b", 18).await);
    assert!(take("b", 19).await, "it ran out");
    assert!(!take("a", 19).await);
}

async fn of_several_takers_one_gets_the_lease(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let db = database.db.clone();
        takers.spawn(async move {
            leases::try_acquire(
                &db,
                "cleaning",
                &number.to_string(),
                now(),
                TimeDelta::seconds(10),
            )
            .await
            .unwrap()
        });
    }
    assert_eq!(
        takers.join_all().await.into_iter().filter(|taken| *taken).count(),
        1
    );
}

async fn a_setting_is_written_once_or_over(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let tx = db.begin().await.unwrap();
    assert_eq!(settings::find(&tx, "canary").await.unwrap(), None);
    assert!(settings::insert_if_absent(&tx, "canary", "one").await.unwrap());
    assert!(!settings::insert_if_absent(&tx, "canary", "two").await.unwrap());
    assert_eq!(
        settings::find(&tx, "canary").await.unwrap().as_deref(),
        Some("one")
    );
    settings::upsert(&tx, "canary", "three").await.unwrap();
    assert_eq!(
        settings::find(&tx, "canary").await.unwrap().as_deref(),
        Some("three")
    );
}
