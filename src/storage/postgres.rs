//! Session settings of PostgreSQL connections.

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _};

/// Settings of every session, sent as statements because `PgBouncer` refuses them as startup options.
///
/// Compiling a statement (`jit`) takes longer than the statements of this program run: with an app of 100,000 releases, a
/// change took 150 ms instead of 4.
///
/// A statement may take 30 s. A transaction whose node is silent ends after 15 s, longer than a call may take. Until
/// then it blocks other writers and the retry of its own call.
const SESSION: &str = "SET jit = off; SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'";

/// Sets the options of every connection.
pub(super) fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
    // PgBouncer does not know this parameter. Numbers are exact by default since PostgreSQL 12.
    let options = options.extra_float_digits(None).disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("slipway"),
    }
}

pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await.map(drop)
}
