//! Repeated creates.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use slipway::storage::idempotency::{
    Answer, FoundRecord, IdempotencyKey, ReservationId, ReserveOutcome, Retention, complete, delete_expired,
    release, reserve,
};
use slipway::storage::{Db, StorageError};

use super::values::now;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::round_trips::RoundTripProxy;
use slipway_test_support::wait::until;

on_both_databases!(
    a_key_is_reserved_once,
    a_completed_key_answers_as_before,
    a_released_key_is_free_again,
    an_abandoned_reservation_is_taken_over,
    expired_answers_are_forgotten,
    a_refused_reservation_is_not_possibly_committed,
    a_key_that_is_never_stored_is_not_tried_forever,
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
    // Too late to release the key.
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

/// Otherwise the release of the key would be retried for as long as the reservation could last.
async fn a_refused_reservation_is_not_possibly_committed(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    execute(&database, "DROP TABLE idempotency_records").await;
    let sent = Arc::default();
    let id = ReservationId::generate();
    let outcome = reserve(db, &key(), id, &sent, "hash", now(), RETENTION).await;
    assert!(matches!(outcome, Err(StorageError::Other(_))), "{outcome:?}");
    assert!(!sent.is_possibly_committed());
}

async fn a_key_that_is_never_stored_is_not_tried_forever(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let ignore_inserts = if database.url.starts_with("sqlite:") {
        "CREATE TRIGGER ignore BEFORE INSERT ON idempotency_records BEGIN SELECT RAISE(IGNORE); END"
    } else {
        "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER ignore BEFORE INSERT ON idempotency_records FOR EACH ROW EXECUTE FUNCTION ignore()"
    };
    execute(&database, ignore_inserts).await;
    assert_eq!(reserve_after(db, TimeDelta::zero()).await, in_flight());
}

/// Returns the number of attempts to reserve the key on PostgreSQL.
fn attempts(proxy: &RoundTripProxy) -> usize {
    let trips = proxy.take();
    let attempts = trips
        .iter()
        .filter(|trip| trip.text.contains("idempotency_records"));
    attempts.count()
}

#[tokio::test]
async fn a_refused_script_is_not_repeated() {
    let database = TestDatabase::postgres().await;
    database.db.migrate().await.unwrap();
    execute(&database, "DROP TABLE idempotency_records").await;
    let (proxy, url) = RoundTripProxy::start(&database.url).await;
    let db = &TestDatabase::at(&url).await.db;
    let id = ReservationId::generate();
    let outcome = reserve(db, &key(), id, &Arc::default(), "hash", now(), RETENTION).await;
    assert!(matches!(outcome, Err(StorageError::Other(_))), "{outcome:?}");
    assert_eq!(attempts(&proxy), 1);
}

/// Abandoning it would make a slow database do everything twice.
#[tokio::test]
async fn a_slow_query_is_not_abandoned() {
    let database = TestDatabase::postgres().await;
    database.db.migrate().await.unwrap();
    let (proxy, url) = RoundTripProxy::start(&database.url).await;
    let db = &TestDatabase::at(&url).await.db;
    let raw = sea_orm::Database::connect(&database.url).await.unwrap();
    let lock = raw.begin().await.unwrap();
    let exclude = "LOCK TABLE idempotency_records IN ACCESS EXCLUSIVE MODE";
    lock.execute_unprepared(exclude).await.unwrap();
    let is_slow = async || {
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock' AND now() - query_start > interval '3 seconds'";
        let waiting = Statement::from_string(DbBackend::Postgres, waiting);
        raw.query_one_raw(waiting).await.unwrap().is_some()
    };
    let release = async {
        until("a reservation waits", Duration::from_mins(1), is_slow).await;
        lock.commit().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(reserve_after(db, TimeDelta::zero()), release);
    assert_eq!(outcome, ReserveOutcome::Reserved);
    assert_eq!(attempts(&proxy), 1);
}

async fn execute(database: &TestDatabase, statement: &str) {
    let raw = sea_orm::Database::connect(&database.url).await.unwrap();
    raw.execute_unprepared(statement).await.unwrap();
}
