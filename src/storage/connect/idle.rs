//! Idle connections are outside a transaction: what a pool holds was proved to be, and what is not is closed.
//!
//! The drivers keep count of transactions by themselves and can be wrong. On FULL, IOERR or NOMEM SQLite rolls back on
//! its own, the driver's `ROLLBACK` then fails, and its count stays at one: the next `BEGIN` would become a
//! `SAVEPOINT`, whose rollback leaves a transaction open that holds the writers' lock and whose commits are lost. On
//! PostgreSQL a `BEGIN` whose caller gives up while it is on its way is executed but not counted.

use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, Connection as _, PgConnection, Row as _};

/// `BEGIN` is refused inside a transaction, by the driver's count or else by SQLite.
pub(super) async fn prove_sqlite(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(report(end_of_probe(connection).await))
}

async fn end_of_probe(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.begin_with("BEGIN").await?.rollback().await?;
    Ok(true)
}

/// A transaction that began before this statement has an earlier time. An aborted one refuses the statement. Sent as a
/// simple query, since the messages of a prepared one have each a time of their own.
pub(in crate::storage) async fn prove_postgres(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let probe = sqlx::raw_sql("SELECT now() = statement_timestamp()");
    let row = probe.fetch_one(connection).await;
    Ok(report(row.and_then(|row| row.try_get(0))))
}

fn report(is_idle: Result<bool, sqlx::Error>) -> bool {
    match is_idle {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!("a connection to the database is closed: its transaction did not end");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a connection to the database is closed: its transaction did not end cleanly");
            false
        }
    }
}
