//! Time limits of statements: none waits forever for a silent connection.

use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};

use super::StorageError;
use super::connection_queue::ConnectionPermit;
use super::progress::send_write;

/// Exceeds PostgreSQL's own limit of a statement, so that only a connection without an answer is given up.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(35);
/// Time limit for acquiring a connection and beginning a transaction together.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Transaction with time limits for its statements.
#[derive(Debug)]
pub(super) struct Transaction {
    // Ends before its permit is released.
    inner: DatabaseTransaction,
    _permit: ConnectionPermit,
}

impl Transaction {
    pub(super) const fn new(inner: DatabaseTransaction, permit: ConnectionPermit) -> Self {
        Self {
            inner,
            _permit: permit,
        }
    }

    /// Returns the transaction without time limits, for streams that have their own.
    pub(super) const fn inner(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Commits the transaction. Without an answer to COMMIT, its outcome is in doubt.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        let sent = send_write();
        let committed = with_timeout(STATEMENT_TIMEOUT, self.inner.commit()).await;
        committed.map_err(|error| {
            let error = StorageError::map_commit_error(error);
            if !matches!(error, StorageError::InDoubt(_)) {
                sent.mark_refused();
            }
            error
        })
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        with_timeout(STATEMENT_TIMEOUT, self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        with_timeout(STATEMENT_TIMEOUT, self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        with_timeout(STATEMENT_TIMEOUT, self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        with_timeout(STATEMENT_TIMEOUT, self.inner.query_all_raw(statement)).await
    }

    fn support_returning(&self) -> bool {
        self.inner.support_returning()
    }
}

pub(super) fn is_write(sql: &str) -> bool {
    !sql.trim_start()
        .get(..6)
        .is_some_and(|verb| verb.eq_ignore_ascii_case("select"))
}

/// Returns `true` if the database reported that it did not execute the statement, or never received it.
pub(super) fn is_refusal(error: &DbErr) -> bool {
    let is_without_connection = matches!(
        error,
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::SqlxError(_))
    );
    is_without_connection || StorageError::is_refusal(error)
}

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
