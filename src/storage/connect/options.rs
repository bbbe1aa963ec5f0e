//! Pool options of each backend.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectOptions;
use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use super::{DatabaseFile, Durability, LOCK_TIMEOUT, POSTGRES_CONNECT_TIMEOUT, idle};
use crate::storage::hosts::Hosts;
use crate::storage::postgres::pool_options;

const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

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
