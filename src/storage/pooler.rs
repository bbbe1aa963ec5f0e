//! Detection of a pooler that assigns each transaction another session.
//!
//! Such a pooler would lose or mix up prepared statements, notifications and session settings without an error.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _, Row as _};
use tokio::time::timeout;

use super::StorageError;
use super::connect::Db;

/// Time limit of the check. If the second connection is unavailable in time, the result is inconclusive.
const LIMIT: Duration = Duration::from_secs(3);
/// Number of comparisons. Other clients of the pooler may hide a changing session once, but rarely every time.
const ATTEMPTS: usize = 5;
const SESSION: &str = "SELECT pg_backend_pid()";

impl Db {
    /// Fails with [`StorageError::TransactionPooler`] behind a pooler in transaction or statement mode.
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

/// Returns `true` if two connections, open at the same time, have two different sessions that stay the same.
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
