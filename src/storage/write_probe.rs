//! Write probe. It also detects faults that a small write would miss.

use std::fs;
use std::io::{Error, ErrorKind, Write as _};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DbErr};
use uuid::Uuid;

use super::connect::{Backend, Db};
use super::statements::Transaction;
use super::unavailability::{Cause, Unavailability};
use super::{StorageError, nodes};

/// Timeouts of the probe's locks and statements.
///
/// The lock timeout is below one second, after which PostgreSQL checks for deadlocks. A migration must never become the
/// victim of such a deadlock.
const PROBE_TIMEOUTS_SQL: &str = "SET LOCAL lock_timeout = 800; SET LOCAL statement_timeout = 4000";
/// Tables in locking order. They are listed because other programs may have tables in the same schema.
const TABLES: [&str; 38] = [
    "adoption_counts",
    "adoption_days",
    "api_tokens",
    "app_keys",
    "app_revisions",
    "apps",
    "artifact_usage",
    "artifacts",
    "audit_events",
    "catalog_revisions",
    "deleted_apps",
    "device_changes",
    "device_installs",
    "device_keys",
    "device_tokens",
    "devices",
    "enrolment_codes",
    "idempotency_records",
    "install_count_changes",
    "install_counts",
    "leases",
    "nodes",
    "org_device_counts",
    "org_directories",
    "package_names",
    "pins",
    "place_count_changes",
    "place_counts",
    "platform_tokens",
    "push_repeats",
    "push_targets",
    "pushes",
    "releases",
    "resources",
    "sessions",
    "settings",
    "tenants",
    "users",
];
/// Writes a temporary file of half a megabyte next to the tables: rows may still fit on a full disk without a new page.
const PROBE_TEMP_FILE_SQL: &str =
    "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 15000)";
/// Size of the file written next to a SQLite file, in bytes. A small row may still fit on a full disk.
const PROBE_FILE_BYTES: usize = 256 * 1024;

/// Records that a node runs, in a transaction with the requirements of any write.
///
/// The requirements are space on the disk and the absence of table locks that block writes.
pub async fn check_writable(db: &Db, node: Uuid, now: DateTime<Utc>) -> Result<(), StorageError> {
    let tx = db.begin().await?;
    if db.backend() == Backend::Postgres {
        lock_tables(tx.transaction()).await?;
    }
    nodes::upsert_seen(&tx, node, now).await?;
    tx.commit().await?;
    if let Some(file) = db.sqlite_file() {
        let mut probe = file.as_os_str().to_owned();
        probe.push("-probe");
        let written = tokio::task::spawn_blocking(move || write_probe_file(&probe.into())).await;
        written
            .unwrap_or_else(|error| Err(Error::other(error)))
            .map_err(disk_error)?;
    }
    Ok(())
}

async fn lock_tables(tx: &Transaction) -> Result<(), StorageError> {
    tx.execute_unprepared(PROBE_TIMEOUTS_SQL).await?;
    tx.execute_unprepared(&format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", TABLES.join(", ")))
        .await?;
    tx.execute_unprepared(PROBE_TEMP_FILE_SQL).await?;
    Ok(())
}

fn write_probe_file(path: &PathBuf) -> Result<(), Error> {
    let written = fs::File::create(path).and_then(|mut file| file.write_all(&vec![1; PROBE_FILE_BYTES]));
    let removed = fs::remove_file(path);
    written.and(removed)
}

fn disk_error(error: Error) -> StorageError {
    let cause = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::Full,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Cause::ReadOnly,
        ErrorKind::NotFound => Cause::FileMissing,
        _ => Cause::DiskError,
    };
    let why = format!("a file next to the database cannot be written: {error}");
    Unavailability::new(cause, DbErr::Custom(why)).into()
}

#[cfg(test)]
mod tests {
    use sea_orm::Statement;

    use super::*;
    use crate::storage::{Durability, connect, create_sqlite};

    /// Tables that SQLite, which has one writer, does not need.
    const OF_POSTGRES: [&str; 2] = ["install_count_changes", "place_count_changes"];

    #[tokio::test]
    async fn every_table_is_proven() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("slipway.db").display());
        create_sqlite(&url).await.unwrap();
        let db = connect(&url, Durability::Relaxed).await.unwrap();
        db.migrate().await.unwrap();
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('seaql_migrations', \
            'sqlite_sequence', 'catalog_position', 'device_recording') ORDER BY name";
        let statement = Statement::from_string(db.pool().get_database_backend(), tables);
        let rows = db.pool().query_all_raw(statement).await.unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let of_both = TABLES.iter().filter(|table| !OF_POSTGRES.contains(table));
        assert_eq!(names, of_both.copied().collect::<Vec<_>>());
    }
}
