//! Schema migrations, applied by one node at a time.

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement};
use tokio::time::sleep;

use super::StorageError;
use super::connect::{Backend, Db};
use super::statements::Transaction;
use super::unavailability::Cause;
use super::write::WriteTransaction;

/// Lock of every migrating node. The number is arbitrary and unused elsewhere in the database.
///
/// The lock is polled, because a server continues to wait for a lock after its client has given up.
const TRY_LOCK_SQL: &str = "SELECT pg_try_advisory_xact_lock(7017190131) AS is_held";
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of deadlocks after which a migration is repeated.
const MAX_REFUSALS: u32 = 20;
/// Disables the time limits, because a large migration may exceed them.
const DISABLE_TIMEOUTS_SQL: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";

impl Db {
    /// Applies the pending migrations. Nodes that start together wait for each other.
    ///
    /// Fails with [`StorageError::NewerSchema`] if a newer version of Slipway has migrated the database.
    pub async fn migrate(&self) -> Result<(), StorageError> {
        // This check needs no write, so a node can start on a database that is temporarily full or read-only.
        let mut refused = 0;
        while !self.has_current_schema().await? {
            match self.migrate_next().await {
                // A node of the older version may write meanwhile, in another order of tables.
                Err(StorageError::Unavailable(failure))
                    if failure.cause() == Cause::Locked && refused < MAX_REFUSALS =>
                {
                    refused += 1;
                    tracing::warn!(%failure, "a migration was refused and is repeated");
                    sleep(POLL_INTERVAL).await;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// Applies the next migration, in a transaction of its own: its locks do not last while the following ones read large
    /// tables.
    async fn migrate_next(&self) -> Result<(), StorageError> {
        let tx = self.begin_migration().await?;
        let inner = require_orm(tx.connection())?;
        refuse_newer_schema(inner).await?;
        Migrator::up(inner, Some(1)).await?;
        tx.commit().await
    }

    /// Returns `true` if any migration was applied.
    pub async fn has_schema(&self) -> Result<bool, StorageError> {
        Ok(
            !Migrator::get_applied_migrations_read_only(self.pool().connection())
                .await?
                .is_empty(),
        )
    }

    async fn has_current_schema(&self) -> Result<bool, StorageError> {
        match Migrator::get_pending_migrations_read_only(self.pool().connection()).await {
            Ok(pending) => Ok(pending.is_empty()),
            // The database has migrations unknown to this program.
            Err(DbErr::Custom(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reverts every migration and deletes all data. For tests.
    pub async fn rollback_all(&self) -> Result<(), StorageError> {
        let tx = self.begin_migration().await?;
        Migrator::down(require_orm(tx.connection())?, None).await?;
        tx.commit().await
    }

    /// Begins a transaction that is both the lock and the unit of change: a node that dies midway leaves neither. The
    /// migrator runs every statement on its connection.
    ///
    /// SQLite has a single writer, and this transaction is the writer from its beginning.
    async fn begin_migration(&self) -> Result<WriteTransaction, StorageError> {
        let tx = self.begin_orm_write().await?;
        if self.backend() == Backend::Postgres {
            acquire_migration_lock(tx.connection()).await?;
            tx.connection().execute_unprepared(DISABLE_TIMEOUTS_SQL).await?;
        }
        Ok(tx)
    }
}

/// Returns the ORM's transaction, on whose connection the migrator runs. Without it nothing would be migrated.
fn require_orm(tx: &Transaction) -> Result<&DatabaseTransaction, StorageError> {
    let missing = || DbErr::Custom("a migration needs a transaction of the ORM".to_owned());
    Ok(tx.orm().ok_or_else(missing)?)
}

/// Waits while another node migrates.
async fn acquire_migration_lock(tx: &Transaction) -> Result<(), StorageError> {
    let mut is_waiting = false;
    loop {
        let statement = Statement::from_string(tx.get_database_backend(), TRY_LOCK_SQL);
        let row = tx.query_one_raw(statement).await?;
        let is_held = row.map(|row| row.try_get("", "is_held")).transpose()?;
        if is_held == Some(true) {
            return Ok(());
        }
        if !is_waiting {
            tracing::info!("waiting for another node to migrate the database");
        }
        is_waiting = true;
        sleep(POLL_INTERVAL).await;
    }
}

async fn refuse_newer_schema(tx: &DatabaseTransaction) -> Result<(), StorageError> {
    let known: Vec<_> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let unknown: Vec<_> = Migrator::get_migration_models(tx)
        .await?
        .into_iter()
        .map(|applied| applied.version)
        .filter(|name| !known.contains(name))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(StorageError::NewerSchema(unknown.join(", ")))
    }
}
