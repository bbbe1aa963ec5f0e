//! Connections to PostgreSQL: what each is set to, and when the pool lets it go.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _};

use super::connect::idle;
use super::hosts::Hosts;

/// What every session is set to. Sent as statements, since `PgBouncer` refuses them as options of the start.
///
/// A statement may not take longer than 30 s. A transaction whose node has gone silent is ended after 15 s, longer than
/// a call may take: until then it blocks other writers and the repeat of its own call.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'";

/// Time that a connection may take for a check before it is closed.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// Sets what every connection has.
pub(super) fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
    // PgBouncer knows no such parameter. Numbers are exact by default since PostgreSQL 12.
    let options = options.extra_float_digits(None).disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("slipway"),
    }
}

/// Adds the checks of connections to a pool.
pub(super) fn pool_options(options: PoolOptions<Postgres>, hosts: &Arc<Hosts>) -> PoolOptions<Postgres> {
    let (of_new, of_idle) = (hosts.clone(), hosts.clone());
    options
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let hosts = of_new.clone();
            Box::pin(async move {
                prepare(connection).await?;
                hosts.require_right(connection).await
            })
        })
        .before_acquire(move |connection, meta| {
            let hosts = of_idle.clone();
            // A transaction can stay open where its BEGIN was abandoned: what is written in it would be lost.
            Box::pin(async move { checked(hosts.is_usable(connection, meta.age)).await })
        })
        .after_release(|connection, _| Box::pin(is_finished(connection)))
}

pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await.map(drop)
}

/// Ends what was abandoned, and rolls back. A connection without an answer must not keep its place in the pool.
async fn is_finished(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    checked(idle::prove_postgres(connection)).await
}

async fn checked<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let answered = tokio::time::timeout(CHECK_LIMIT, answer).await;
    answered.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
