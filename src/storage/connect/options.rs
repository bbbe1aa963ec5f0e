//! Pool options of each backend, and the checks that close connections.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectOptions;
use sea_orm::sqlx;
use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::{PgConnection, Postgres};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use super::{Durability, LOCK_TIMEOUT, POSTGRES_CONNECT_TIMEOUT};
use crate::storage::database_file::DatabaseFile;
use crate::storage::hosts::Hosts;
use crate::storage::idle;
use crate::storage::postgres::prepare;

const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of a check on PostgreSQL, after which the connection is closed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn sqlite(
    url: &str,
    durability: Durability,
    limit: u32,
    file: Option<Arc<DatabaseFile>>,
) -> ConnectOptions {
    let synchronous = match durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Relaxed => SqliteSynchronous::Normal,
    };
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        // A single connection, the ORM's default, deadlocks when the pool is used next to an open transaction.
        .max_connections(limit)
        .acquire_timeout(SQLITE_ACQUIRE_TIMEOUT)
        // `before_acquire` below is a stricter test.
        .test_before_acquire(false)
        .map_sqlx_sqlite_pool_opts(move |pool| {
            let file = file.clone();
            // Connections are replaced only after a fault: an old connection has the correct file open.
            pool.max_lifetime(None)
                .idle_timeout(None)
                .after_connect(move |_, _| {
                    let found = file.as_ref().map_or(Ok(()), |file| file.check_now());
                    Box::pin(async move { found.map_err(|why| sqlx::Error::Configuration(why.into())) })
                })
                .before_acquire(|connection, _| Box::pin(idle::is_idle_sqlite(connection)))
                .after_release(|connection, _| Box::pin(idle::is_idle_sqlite(connection)))
        })
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(false)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .busy_timeout(LOCK_TIMEOUT)
                .foreign_keys(true)
        });
    options
}

pub(super) fn postgres(hosts: &Arc<Hosts>, limit: u32) -> ConnectOptions {
    // The ORM requires a URL; `hosts` determines the server.
    let mut options = ConnectOptions::new("postgres://localhost");
    let (connect, checks) = (hosts.connect_options(), hosts.clone());
    options
        .sqlx_logging(false)
        .connect_lazy(true)
        .max_connections(limit)
        .acquire_timeout(POSTGRES_CONNECT_TIMEOUT)
        .map_sqlx_postgres_opts(move |_| connect.clone())
        .map_sqlx_postgres_pool_opts(move |pool| pool_options(pool, &checks));
    if limit == 1 {
        // A dedicated connection stays open, because a replacement may be unavailable.
        options.idle_timeout(None).max_lifetime(None);
    }
    options
}

/// Adds the connection checks to a pool.
fn pool_options(options: PoolOptions<Postgres>, hosts: &Arc<Hosts>) -> PoolOptions<Postgres> {
    let (of_new, of_idle) = (hosts.clone(), hosts.clone());
    options
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let hosts = of_new.clone();
            Box::pin(async move {
                prepare(connection).await?;
                hosts.require_suitable(connection).await
            })
        })
        .before_acquire(move |connection, meta| {
            let hosts = of_idle.clone();
            // A cancelled BEGIN can leave a transaction open, and writes in it would be lost.
            Box::pin(async move { checked(hosts.is_usable(connection, meta.age, meta.idle_for)).await })
        })
        .after_release(|connection, _| Box::pin(is_finished(connection)))
}

/// Ends abandoned work with a rollback and checks that no transaction is open. A connection that does not respond must
/// not keep its place in the pool.
async fn is_finished(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    checked(idle::is_idle_postgres(connection)).await
}

async fn checked<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let answered = tokio::time::timeout(CHECK_TIMEOUT, answer).await;
    answered.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
