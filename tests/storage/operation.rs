//! The audit, leases and settings.

use chrono::TimeDelta;
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
    a_lease_has_one_holder,
    of_several_takers_one_gets_the_lease,
    a_setting_is_written_once_or_over,
);

async fn the_audit_is_listed_newest_first(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let event = |tenant: Option<i64>, action: &str| AuditEvent {
        id: slipway::random::id::<AuditId>(),
        tenant: tenant.map(|number| TenantId::parse(number).unwrap()),
        at: in_micros(now()),
        actor_key: "user:1".to_owned(),
        actor_name: "ada".to_owned(),
        action: action.to_owned(),
        object_type: "app".to_owned(),
        object_id: "com.hema.wms".to_owned(),
        before: None,
        after: Some(JsonText::of(&json!({"nul": "\u{0}"}))),
        request_id: None,
    };
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
