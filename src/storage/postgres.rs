//! Session settings of PostgreSQL connections, and the checks that close them.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _};

use super::connect::idle;
use super::hosts::Hosts;

/// Settings of every session, sent as statements because `PgBouncer` refuses them as startup options.
///
/// A statement may take 30 s. A transaction whose node is silent ends after 15 s, longer than a call may take. Until
/// then it blocks other writers and the retry of its own call.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'";

/// Time limit of a check, after which the connection is closed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Sets the options of every connection.
pub(super) fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
    // PgBouncer does not know this parameter. Numbers are exact by default since PostgreSQL 12.
    let options = options.extra_float_digits(None).disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("slipway"),
    }
}

/// Adds the connection checks to a pool.
pub(super) fn pool_options(options: PoolOptions<Postgres>, hosts: &Arc<Hosts>) -> PoolOptions<Postgres> {
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
            Box::pin(async move { checked(hosts.is_usable(connection, meta.age)).await })
        })
        .after_release(|connection, _| Box::pin(is_finished(connection)))
}

pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await.map(drop)
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
