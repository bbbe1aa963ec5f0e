//! Time limits of statements: none waits forever for a silent connection.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

/// Exceeds PostgreSQL's own limit of a statement, so that only a connection without an answer is given up.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(35);
/// Time limit for acquiring a connection and beginning a transaction together.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Cancels an operation that is not answered in time. Its connection is closed when it returns to the pool.
pub(super) async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", limit.as_secs());
        Err(DbErr::Conn(RuntimeErr::Internal(message)))
    })
}
