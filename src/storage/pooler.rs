//! Refuses a pooler that gives each transaction another session: prepared statements, notifications and the settings of
//! a session would be lost or mixed up without an error.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _, Row as _};
use tokio::time::timeout;

use super::StorageError;
use super::connect::Db;

/// Where the second connection is not to be had in time, nothing is found out.
const LIMIT: Duration = Duration::from_secs(3);
/// Other callers of the pooler may hide what is looked for once, but hardly each time.
const ATTEMPTS: usize = 5;
const SESSION: &str = "SELECT pg_backend_pid()";

impl Db {
    /// Refuses a database behind a pooler in transaction or statement mode.
    pub async fn require_sessions(&self) -> Result<(), StorageError> {
        let Some(options) = self.connect_options() else {
            return Ok(());
        };
        match timeout(LIMIT, has_sessions(&options)).await {
            Ok(Ok(false)) => Err(StorageError::TransactionPooler),
            _ => Ok(()),
        }
    }
}

/// Two connections that are open at a time have two sessions, which stay the same.
async fn has_sessions(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut first = options.connect().await?;
    let session = session_of(&mut first).await?;
    let mut second = options.connect().await?;
    let other = session_of(&mut second).await?;
    for _ in 0..ATTEMPTS {
        if session_of(&mut first).await? != session
            || session_of(&mut second).await? != other
            || other == session
        {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn session_of(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one(SESSION).await?.try_get(0)
}
