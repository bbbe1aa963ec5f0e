//! Writes: serialized on SQLite, and acknowledged only while the database file is present.

use std::sync::Arc;

use sea_orm::{DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::StorageError;
use super::connect::{DatabaseFile, Db, LOCK_TIMEOUT};
use super::pool::Pool;
use super::statements::Transaction;
use super::turns::{self, Turns};
use super::unavailability::{Cause, Unavailability};

/// State shared by all writes to one database.
#[derive(Debug)]
pub(super) struct WriteControl {
    file: Option<Arc<DatabaseFile>>,
    /// Lock of SQLite's single writer. Writers wait here in order, urgent ones first, and hold no pooled connection
    /// meanwhile.
    turns: Option<Turns>,
    /// Notified of each write that was not committed, because it may be the first of a fault.
    unkept: Notify,
}

impl WriteControl {
    pub(super) fn of_sqlite(file: Option<Arc<DatabaseFile>>) -> Self {
        Self {
            file,
            turns: Some(Turns::default()),
            unkept: Notify::new(),
        }
    }

    pub(super) fn of_postgres() -> Self {
        Self {
            file: None,
            turns: None,
            unkept: Notify::new(),
        }
    }

    pub(super) fn file(&self) -> Option<&Arc<DatabaseFile>> {
        self.file.as_ref()
    }

    async fn check_file(&self) -> Result<(), StorageError> {
        match &self.file {
            Some(file) => file.check().await,
            None => Ok(()),
        }
    }
}

/// Scope of one write, from before it begins until its end.
#[derive(Debug)]
struct Turn {
    control: Arc<WriteControl>,
    _held: Option<turns::Turn>,
    is_kept: bool,
}

impl Turn {
    async fn begin(control: &Arc<WriteControl>, is_urgent: bool) -> Result<Self, StorageError> {
        let permit = match &control.turns {
            Some(turns) => Some(turns.take(is_urgent).await),
            None => None,
        };
        let turn = Self {
            control: control.clone(),
            _held: permit,
            is_kept: false,
        };
        control.check_file().await?;
        Ok(turn)
    }

    /// Ends a committed write. A write to a file that has disappeared must not be acknowledged.
    async fn keep(mut self) -> Result<(), StorageError> {
        self.control.check_file().await?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_kept {
            self.control.unkept.notify_one();
        }
    }
}

/// Write transaction. Rolls back when dropped without a commit.
#[derive(Debug)]
pub(super) struct WriteTransaction {
    // Rolled back before the next writer acquires the lock.
    transaction: Transaction,
    turn: Turn,
}

impl WriteTransaction {
    pub(super) const fn connection(&self) -> &Transaction {
        &self.transaction
    }

    /// Commits the transaction. After [`StorageError::InDoubt`] it may be committed.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        self.transaction.commit().await?;
        self.turn.keep().await
    }
}

/// Write of a single statement, which is a transaction by itself.
#[derive(Debug)]
pub(super) struct SingleWrite<'a> {
    connection: &'a Pool,
    turn: Turn,
}

impl SingleWrite<'_> {
    pub(super) const fn connection(&self) -> &Pool {
        self.connection
    }

    /// Ends the write. Must be called after the statement has succeeded.
    pub(super) async fn keep(self) -> Result<(), StorageError> {
        self.turn.keep().await
    }
}

impl Db {
    /// Begins a write transaction.
    ///
    /// On SQLite it acquires the write lock with its first statement. A transaction that reads first and writes later
    /// is refused at once if another one has written in between, regardless of its timeout.
    pub(super) async fn begin_write(&self) -> Result<WriteTransaction, StorageError> {
        self.within_a_turn(async {
            let turn = Turn::begin(self.writes(), self.is_urgent()).await?;
            let options = || TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            let pool = self.pool_of_writer();
            let transaction = pool
                .begin(|| pool.connection().begin_with_options(options()))
                .await?;
            Ok(WriteTransaction { transaction, turn })
        })
        .await
    }

    pub(super) async fn begin_single_write(&self) -> Result<SingleWrite<'_>, StorageError> {
        self.within_a_turn(async {
            Ok(SingleWrite {
                turn: Turn::begin(self.writes(), self.is_urgent()).await?,
                connection: self.pool_of_writer(),
            })
        })
        .await
    }

    /// Waits until a write fails or is abandoned.
    pub async fn write_was_not_kept(&self) {
        self.writes().unkept.notified().await;
    }

    /// Limits the total wait for other writers of this process and for the lock of the file to the time limit of one
    /// lock.
    async fn within_a_turn<T>(
        &self,
        begin: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        if self.writes().turns.is_none() {
            return begin.await;
        }
        timeout(LOCK_TIMEOUT, begin).await.unwrap_or_else(|_| {
            let why = format!("no write lock within {} s", LOCK_TIMEOUT.as_secs());
            Err(Unavailability::new(Cause::Locked, DbErr::Custom(why)).into())
        })
    }
}
