//! Statements of transactions: one by one, in scripts, or queued for the next round trip.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};

use super::connection_queue::ConnectionPermit;
use super::postgres_transaction::PostgresTransaction;
use super::progress::send_write;
use super::script::{
    CollectedOutput, Command, CommandResult, ScriptError, ScriptOutput, run_on_sqlite, script_text,
};
use super::timeouts::{STATEMENT_TIMEOUT, with_timeout};
use super::{StorageError, UniqueKey};

/// Transaction with time limits for its statements.
///
/// Writes can be queued. They are sent with the next statement, at the latest with the commit.
#[derive(Debug)]
pub(super) struct Transaction {
    // Ends before its permit is released.
    inner: Inner,
    _permit: ConnectionPermit,
    queued: Mutex<Vec<QueuedWrite>>,
}

#[derive(Debug)]
enum Inner {
    Orm(DatabaseTransaction),
    Postgres(PostgresTransaction),
}

/// Write whose result is known later.
#[derive(Debug)]
pub struct QueuedWrite {
    pub statement: Statement,
    /// Unique key that the write can violate.
    pub key: Option<UniqueKey>,
    /// Returns the error if the write changed no row.
    pub if_unchanged: Option<fn() -> StorageError>,
}

impl Transaction {
    pub(super) const fn of_orm(inner: DatabaseTransaction, permit: ConnectionPermit) -> Self {
        Self::new(Inner::Orm(inner), permit)
    }

    pub(super) const fn of_postgres(inner: PostgresTransaction, permit: ConnectionPermit) -> Self {
        Self::new(Inner::Postgres(inner), permit)
    }

    const fn new(inner: Inner, permit: ConnectionPermit) -> Self {
        Self {
            inner,
            _permit: permit,
            queued: Mutex::new(Vec::new()),
        }
    }

    /// Returns the ORM's transaction; `None` if it has none.
    pub(super) const fn orm(&self) -> Option<&DatabaseTransaction> {
        match &self.inner {
            Inner::Orm(inner) => Some(inner),
            Inner::Postgres(_) => None,
        }
    }

    /// Queues a write for the next round trip.
    pub(super) fn queue(&self, write: QueuedWrite) {
        self.lock_queue().push(write);
    }

    /// Sends the queued writes and these commands in one round trip, and returns the results of the commands.
    pub(super) async fn run(&self, commands: Vec<Command>) -> Result<Vec<CommandResult>, StorageError> {
        let queued = self.take_queue();
        let all: Vec<_> = queued.iter().map(QueuedWrite::command).chain(commands).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut output = CollectedOutput::default();
        if let Err(error) = self.run_into(all, STATEMENT_TIMEOUT, &mut output).await {
            let failed = queued.get(output.ended());
            return Err(match (error, failed.and_then(|write| write.key)) {
                (ScriptError::Database(error), Some(key)) => StorageError::map_write_error(key)(error),
                (error, _) => error.into(),
            });
        }
        let mut results = output.into_results();
        let rest = results.split_off(queued.len());
        match find_without_effect(&queued, &results) {
            Some(error) => Err(error()),
            None => Ok(rest),
        }
    }

    /// Sends the queued writes and these queries in one round trip each, and returns the rows of the queries.
    pub(super) async fn query(&self, queries: Vec<Command>) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        self.flush().await.map_err(StorageError::into_orm)?;
        let mut output = CollectedOutput::default();
        let run = self.run_into(queries, STATEMENT_TIMEOUT, &mut output).await;
        run.map_err(ScriptError::into_database)?;
        Ok(output
            .into_results()
            .into_iter()
            .map(|result| result.rows)
            .collect())
    }

    /// Runs commands in one round trip and passes each row to `output`. `limit` applies to each row. Queued writes are
    /// not sent.
    pub(super) async fn run_into(
        &self,
        commands: Vec<Command>,
        limit: Duration,
        output: &mut impl ScriptOutput,
    ) -> Result<(), ScriptError> {
        match &self.inner {
            Inner::Orm(inner) => run_on_sqlite(inner, commands, limit, output).await,
            Inner::Postgres(inner) => inner.run(script_text(&commands)?, limit, output).await,
        }
    }

    /// Sends the queued writes, for a statement that may depend on them.
    async fn flush(&self) -> Result<(), StorageError> {
        self.run(Vec::new()).await.map(drop)
    }

    /// Commits the transaction. Without an answer to COMMIT, its outcome is in doubt.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        self.flush().await?;
        self.finish(None).await.map(drop)
    }

    /// Runs a command and commits, in one round trip. Queued writes must have been sent.
    pub(super) async fn commit_with(self, command: Command) -> Result<CommandResult, StorageError> {
        self.finish(Some(command)).await
    }

    async fn finish(self, last: Option<Command>) -> Result<CommandResult, StorageError> {
        let commands: Vec<_> = last.into_iter().collect();
        let mut output = CollectedOutput::default();
        let committed = match self.inner {
            Inner::Orm(inner) => {
                run_on_sqlite(&inner, commands, STATEMENT_TIMEOUT, &mut output).await?;
                let commit = async { Ok(with_timeout(STATEMENT_TIMEOUT, inner.commit()).await?) };
                as_write(commit).await
            }
            Inner::Postgres(inner) => {
                let script = format!("{}; COMMIT", script_text(&commands)?);
                as_write(inner.finish(script, STATEMENT_TIMEOUT, &mut output)).await
            }
        };
        committed.map(|()| output.into_results().into_iter().next().unwrap_or_default())
    }

    fn take_queue(&self) -> Vec<QueuedWrite> {
        std::mem::take(&mut *self.lock_queue())
    }

    fn lock_queue(&self) -> MutexGuard<'_, Vec<QueuedWrite>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueuedWrite {
    fn command(&self) -> Command {
        Command::Execute(self.statement.clone())
    }
}

/// Returns the error of the first write that had to change a row and changed none.
fn find_without_effect(writes: &[QueuedWrite], results: &[CommandResult]) -> Option<fn() -> StorageError> {
    let mut changed_none = writes
        .iter()
        .zip(results)
        .filter(|(_, result)| result.rows_affected == 0);
    changed_none.find_map(|(write, _)| write.if_unchanged)
}

/// Sends a COMMIT. Without an answer, its outcome is in doubt.
async fn as_write(commit: impl Future<Output = Result<(), ScriptError>>) -> Result<(), StorageError> {
    let sent = send_write();
    commit.await.map_err(|error| {
        let error = match error {
            ScriptError::Database(error) => StorageError::map_commit_error(error),
            ScriptError::Output(error) => error,
        };
        if !matches!(error, StorageError::InDoubt(_)) {
            sent.mark_refused();
        }
        error
    })
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner {
            Inner::Orm(inner) => inner.get_database_backend(),
            Inner::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.flush().await.map_err(StorageError::into_orm)?;
        match &self.inner {
            Inner::Orm(inner) => with_timeout(STATEMENT_TIMEOUT, inner.execute_raw(statement)).await,
            Inner::Postgres(inner) => with_timeout(STATEMENT_TIMEOUT, inner.execute(statement)).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.flush().await.map_err(StorageError::into_orm)?;
        match &self.inner {
            Inner::Orm(inner) => with_timeout(STATEMENT_TIMEOUT, inner.execute_unprepared(sql)).await,
            Inner::Postgres(inner) => with_timeout(STATEMENT_TIMEOUT, inner.execute_unprepared(sql)).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.flush().await.map_err(StorageError::into_orm)?;
        match &self.inner {
            Inner::Orm(inner) => with_timeout(STATEMENT_TIMEOUT, inner.query_one_raw(statement)).await,
            Inner::Postgres(inner) => with_timeout(STATEMENT_TIMEOUT, inner.query_one(statement)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.flush().await.map_err(StorageError::into_orm)?;
        match &self.inner {
            Inner::Orm(inner) => with_timeout(STATEMENT_TIMEOUT, inner.query_all_raw(statement)).await,
            Inner::Postgres(inner) => with_timeout(STATEMENT_TIMEOUT, inner.query_all(statement)).await,
        }
    }

    fn support_returning(&self) -> bool {
        match &self.inner {
            Inner::Orm(inner) => inner.support_returning(),
            Inner::Postgres(_) => true,
        }
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
