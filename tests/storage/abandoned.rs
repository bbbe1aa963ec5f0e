//! Transactions that end abnormally: no later acknowledged write is lost.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use slipway::storage::{Db, Reader, StorageError, leases, settings};

use super::values::now;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(what_is_written_after_given_up_transactions_is_there);

/// At most the size of a SQLite pool.
const CONNECTIONS: usize = 8;
const TTL: TimeDelta = TimeDelta::minutes(5);

async fn set(db: &Db, name: &str, value: &str) -> Result<(), StorageError> {
    let tx = db.begin().await?;
    settings::upsert(&tx, name, value).await?;
    tx.commit().await
}

/// Runs a statement on every connection of the pool.
async fn on_each_connection(db: &Db, statement: &str) {
    let transactions = join_all((0..CONNECTIONS).map(|_| db.begin_read())).await;
    let transactions: Vec<_> = transactions.into_iter().map(Result::unwrap).collect();
    for tx in &transactions {
        tx.connection().execute_unprepared(statement).await.unwrap();
    }
}

/// Writes in transactions and in single statements. Returns the names of the acknowledged writes.
async fn write_some(db: &Db, round: &str) -> Vec<String> {
    let writes = (0..2 * CONNECTIONS).map(async |number| {
        let name = format!("{round}-{number}");
        let written = if number % 2 == 0 {
            set(db, &name, "acknowledged").await
        } else {
            let taken = leases::try_acquire(db, &name, "holder", now(), TTL).await;
            taken.map(|is_taken| assert!(is_taken))
        };
        written.is_ok().then_some(name)
    });
    join_all(writes).await.into_iter().flatten().collect()
}

/// Drops a future after this number of polls, unless it is done by then.
async fn give_up_at(turn: usize, future: impl Future<Output = Result<(), StorageError>>) {
    let mut future = pin!(future);
    let mut turns = 0;
    poll_fn(|context| {
        turns += 1;
        match future.as_mut().poll(context) {
            Poll::Pending if turns <= turn => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

async fn assert_there(db: &Db, acknowledged: &[String]) {
    for name in acknowledged {
        let is_setting = settings::find(db, name).await.unwrap().is_some();
        let is_there = is_setting
            || !leases::try_acquire(db, name, "another", now(), TTL)
                .await
                .unwrap();
        assert!(is_there, "{name} was acknowledged and is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_full_database_is_there() {
    let database = TestDatabase::sqlite().await;
    let db = &database.db;
    db.migrate().await.unwrap();
    let mut acknowledged = write_some(db, "before").await;
    for round in 0..3 {
        // A limit below the current size means the current size.
        on_each_connection(db, "PRAGMA max_page_count = 1").await;
        let large = "x".repeat(1 << 20);
        let attempts = (0..CONNECTIONS).map(async |number| {
            let name = format!("large-{round}-{number}");
            // The outcome depends on the connection: a reopened connection does not have the limit.
            let is_refused = set(db, &name, &large).await.is_err();
            // The driver's count may be wrong now; then its rollback leaves a transaction open.
            if let Ok(tx) = db.begin().await {
                let _ = settings::upsert(&tx, &name, "dropped").await;
            }
            is_refused
        });
        let are_refused = join_all(attempts).await;
        assert!(are_refused.contains(&true), "the database has no page for it");
        acknowledged.extend(write_some(db, &format!("full-{round}")).await);
    }
    on_each_connection(db, "PRAGMA max_page_count = 4294967294").await;
    let after = write_some(db, "after").await;
    assert_eq!(
        after.len(),
        2 * CONNECTIONS,
        "writes succeed as soon as there is space"
    );
    acknowledged.extend(after);
    assert_there(&database.another_node().await, &acknowledged).await;
    database.db.clone().close().await.unwrap();
    assert_there(&database.another_node().await, &acknowledged).await;
}

/// A caller that disconnects drops its write at any moment, even between sending `BEGIN` and receiving the answer.
async fn what_is_written_after_given_up_transactions_is_there(database: TestDatabase) {
    let db = &database.db;
    db.migrate().await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..400 {
        give_up_at(number % 20, set(db, "given-up", "?")).await;
        // The pool hands out its connections in turn. This varies the connection of each kind of write.
        for write in 0..=number % 3 {
            let name = format!("after-{number}-{write}");
            if let Ok(true) = leases::try_acquire(db, &name, "holder", now(), TTL).await {
                acknowledged.push(name);
            }
        }
    }
    let after = write_some(db, "after-all").await;
    assert_eq!(after.len(), 2 * CONNECTIONS);
    acknowledged.extend(after);
    let another = database.another_node().await;
    assert_there(&another, &acknowledged).await;
}
