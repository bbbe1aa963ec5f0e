//! Writes: serialized on SQLite, and acknowledged only while the database file is present.

use sea_orm::{DbErr, SqliteTransactionMode, TransactionOptions};
use tokio::time::timeout;

use super::StorageError;
use super::connect::{Backend, Db, LOCK_TIMEOUT};
use super::pool::Pool;
use super::script::{Command, CommandResult};
use super::statements::Transaction;
use super::unavailability::{Cause, Unavailability};
use super::write_control::WriteGuard;

const BEGIN_SQL: &str = "BEGIN";

/// Write transaction. Rolls back when dropped without a commit.
#[derive(Debug)]
pub(super) struct WriteTransaction {
    // Rolled back before the next writer acquires the lock.
    transaction: Transaction,
    guard: WriteGuard,
}

impl WriteTransaction {
    pub(super) const fn connection(&self) -> &Transaction {
        &self.transaction
    }

    /// Commits the transaction. After [`StorageError::InDoubt`] it may be committed.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        self.transaction.commit().await?;
        self.guard.confirm().await
    }

    /// Runs a last command and commits, in one round trip.
    pub(super) async fn commit_with(self, last: Command) -> Result<CommandResult, StorageError> {
        let result = self.transaction.commit_with(last).await?;
        self.guard.confirm().await?;
        Ok(result)
    }
}

/// Write of a single statement, which is a transaction by itself.
#[derive(Debug)]
pub(super) struct SingleWrite<'a> {
    connection: &'a Pool,
    guard: WriteGuard,
}

impl SingleWrite<'_> {
    pub(super) const fn connection(&self) -> &Pool {
        self.connection
    }

    /// Ends the write. Must be called after the statement has succeeded.
    pub(super) async fn confirm(self) -> Result<(), StorageError> {
        self.guard.confirm().await
    }
}

impl Db {
    /// Begins a write transaction.
    ///
    /// On SQLite it acquires the write lock with its first statement. A transaction that reads first and writes later
    /// is refused at once if another one has written in between, regardless of its timeout.
    pub(super) async fn begin_write(&self) -> Result<WriteTransaction, StorageError> {
        self.begin_write_with(async |pool| match self.backend() {
            Backend::Sqlite => pool.begin_orm(write_options()).await,
            Backend::Postgres => pool.begin_postgres(BEGIN_SQL).await,
        })
        .await
    }

    /// Begins a write transaction of the ORM, for migrations.
    pub(super) async fn begin_orm_write(&self) -> Result<WriteTransaction, StorageError> {
        self.begin_write_with(async |pool| pool.begin_orm(write_options()).await)
            .await
    }

    async fn begin_write_with(
        &self,
        begin: impl AsyncFnOnce(&Pool) -> Result<Transaction, DbErr>,
    ) -> Result<WriteTransaction, StorageError> {
        self.with_lock_timeout(async {
            let guard = WriteGuard::begin(self.writes(), self.is_urgent()).await?;
            // Chosen once the lock is held: until then other writers may return connections.
            let transaction = begin(self.writer_pool()).await?;
            Ok(WriteTransaction { transaction, guard })
        })
        .await
    }

    pub(super) async fn begin_single_write(&self) -> Result<SingleWrite<'_>, StorageError> {
        self.with_lock_timeout(async {
            Ok(SingleWrite {
                guard: WriteGuard::begin(self.writes(), self.is_urgent()).await?,
                connection: self.writer_pool(),
            })
        })
        .await
    }

    /// Waits until a write fails or is abandoned.
    pub async fn wait_for_failed_write(&self) {
        self.writes().wait_for_failure().await;
    }

    /// Limits the total wait for other writers of this process and for the lock of the file to the time limit of one
    /// lock.
    async fn with_lock_timeout<T>(
        &self,
        begin: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        if !self.writes().has_lock() {
            return begin.await;
        }
        timeout(LOCK_TIMEOUT, begin).await.unwrap_or_else(|_| {
            let why = format!("no write lock within {} s", LOCK_TIMEOUT.as_secs());
            Err(Unavailability::new(Cause::Locked, DbErr::Custom(why)).into())
        })
    }
}

fn write_options() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    }
}
