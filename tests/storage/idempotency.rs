//! Creates that are asked for again.

use std::sync::Arc;

use chrono::TimeDelta;
use slipway::storage::idempotency::{
    Answer, FoundRecord, IdempotencyKey, ReservationId, ReserveOutcome, Retention, complete, delete_expired,
    release, reserve,
};
use slipway::storage::{Db, StorageError};

use super::values::now;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(
    a_key_is_reserved_once,
    a_completed_key_answers_as_before,
    a_released_key_is_free_again,
    an_abandoned_reservation_is_taken_over,
    expired_answers_are_forgotten,
);

const RETENTION: Retention = Retention {
    in_flight: TimeDelta::minutes(1),
    answered: TimeDelta::hours(24),
};

fn key() -> IdempotencyKey {
    IdempotencyKey {
        caller: "token:1".to_owned(),
        method: "POST".to_owned(),
        path: "/api/v1/tenants/1/apps".to_owned(),
        key: "k".to_owned(),
    }
}

fn answer() -> Answer {
    Answer {
        status: 201,
        body: Some("{}".to_owned()),
        shows_secret: false,
        object_id: Some("42".to_owned()),
    }
}

async fn reserve_as(db: &Db, id: ReservationId, elapsed: TimeDelta) -> ReserveOutcome {
    let now = now() + elapsed;
    reserve(db, &key(), id, &Arc::default(), "hash", now, RETENTION)
        .await
        .unwrap()
}

async fn reserve_after(db: &Db, elapsed: TimeDelta) -> ReserveOutcome {
    reserve_as(db, ReservationId::generate(), elapsed).await
}

async fn reserved(db: &Db) -> ReservationId {
    db.migrate().await.unwrap();
    let id = ReservationId::generate();
    assert_eq!(
        reserve_as(db, id, TimeDelta::zero()).await,
        ReserveOutcome::Reserved
    );
    id
}

async fn complete_in_tx(db: &Db, id: ReservationId) -> Result<(), StorageError> {
    let tx = db.begin().await?;
    complete(&tx, &key(), id, answer());
    tx.commit().await
}

fn in_flight() -> ReserveOutcome {
    ReserveOutcome::Found(FoundRecord {
        body_hash: "hash".to_owned(),
        answer: None,
    })
}

fn answered() -> ReserveOutcome {
    ReserveOutcome::Found(FoundRecord {
        body_hash: "hash".to_owned(),
        answer: Some(answer()),
    })
}

async fn a_key_is_reserved_once(database: TestDatabase) {
    database.db.migrate().await.unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let db = database.db.clone();
        requests.spawn(async move { reserve_after(&db, TimeDelta::zero()).await });
    }
    let outcomes = requests.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == in_flight()).count(),
        7
    );
}

async fn a_completed_key_answers_as_before(database: TestDatabase) {
    let db = &database.db;
    let id = reserved(db).await;
    complete_in_tx(db, id).await.unwrap();
    assert_eq!(reserve_after(db, TimeDelta::hours(23)).await, answered());
    // Too late to take it back.
    release(db, &key(), id).await.unwrap();
    assert_eq!(reserve_after(db, TimeDelta::hours(23)).await, answered());
}

async fn a_released_key_is_free_again(database: TestDatabase) {
    let db = &database.db;
    let id = reserved(db).await;
    release(db, &key(), id).await.unwrap();
    assert!(matches!(
        reserve_after(db, TimeDelta::zero()).await,
        ReserveOutcome::Reserved
    ));
}

async fn an_abandoned_reservation_is_taken_over(database: TestDatabase) {
    let db = &database.db;
    let first = reserved(db).await;
    assert_eq!(reserve_after(db, TimeDelta::seconds(59)).await, in_flight());
    let second = ReservationId::generate();
    let taken = reserve_as(db, second, TimeDelta::seconds(60)).await;
    assert_eq!(taken, ReserveOutcome::Reserved, "the first ran out");
    assert!(matches!(
        complete_in_tx(db, first).await,
        Err(StorageError::ReservationLost)
    ));
    complete_in_tx(db, second).await.unwrap();
    assert_eq!(reserve_after(db, TimeDelta::hours(1)).await, answered());
}

async fn expired_answers_are_forgotten(database: TestDatabase) {
    let db = &database.db;
    let id = reserved(db).await;
    complete_in_tx(db, id).await.unwrap();
    assert!(matches!(
        reserve_after(db, TimeDelta::hours(24)).await,
        ReserveOutcome::Reserved
    ));
    assert_eq!(delete_expired(db, now() + TimeDelta::hours(47)).await.unwrap(), 0);
    assert_eq!(delete_expired(db, now() + TimeDelta::hours(48)).await.unwrap(), 1);
}
