//! Transaction probe of idle connections: a connection inside a transaction is closed instead of pooled.
//!
//! The drivers count transactions themselves and can be wrong. On FULL, IOERR or NOMEM SQLite rolls back on its own.
//! The driver's `ROLLBACK` then fails, and its count stays at one. The next `BEGIN` would become a `SAVEPOINT`. Its
//! rollback leaves a transaction open that holds the write lock, and its commits are lost. On PostgreSQL, a `BEGIN`
//! that is cancelled in flight is executed but not counted.

use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, Connection as _, PgConnection, Row as _};

/// Checks that the connection is outside a transaction: inside one, the driver or SQLite refuses `BEGIN`.
pub(super) async fn is_idle_sqlite(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(report(end_of_probe(connection).await))
}

async fn end_of_probe(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.begin_with("BEGIN").await?.rollback().await?;
    Ok(true)
}

/// Checks that the connection is outside a transaction.
///
/// A transaction that began before this statement has an earlier time, and an aborted one refuses the statement. The
/// probe is a simple query, because each message of a prepared statement has its own time.
pub(super) async fn is_idle_postgres(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let probe = sqlx::raw_sql("SELECT now() = statement_timestamp()");
    let row = probe.fetch_one(connection).await;
    Ok(report(row.and_then(|row| row.try_get(0))))
}

fn report(is_idle: Result<bool, sqlx::Error>) -> bool {
    match is_idle {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!("closing a database connection: its transaction did not end");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "closing a database connection: its transaction did not end cleanly");
            false
        }
    }
}
