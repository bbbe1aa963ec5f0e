//! Change feed of devices for the nodes. Triggers and recorders append rows to `device_changes`.
//!
//! A reader reads each row once. On PostgreSQL a transaction may commit after one that began later. A reader therefore
//! remembers the transactions that were still running and queries their rows again. On SQLite writes are serialized.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use super::connect::Backend;
use super::{Db, Reader, StorageError, Tx};

/// Maximum number of changes that are read individually.
const MAX_CHANGES: i64 = 10_000;
/// Rows deleted by one statement.
const PRUNE_BATCH: i64 = 5_000;

/// Position of a reader in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    id: i64,
    /// Stamp of the row with that id. A different stamp reveals that this is another database than before.
    stamp: String,
    /// Transactions that were still running.
    running: Vec<i64>,
    /// All transactions below this id have ended.
    ended_below: i64,
}

/// Entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChange {
    /// Change of one device by a writer other than a recorder.
    Device { tenant: i64, device: String },
    /// Change of the devices with these hashes, by the recorder of a node.
    Recorded { writer: String, devices: Vec<u64> },
    /// Change of unknown devices.
    Every,
}

/// Changes since a position.
#[derive(Debug)]
pub enum ChangeBatch {
    Changes(Vec<DeviceChange>),
    /// Any device may have changed: the changes are too many, or the history is another one.
    Unknown,
}

#[derive(Debug, FromQueryResult)]
struct ChangeRow {
    id: i64,
    stamp: String,
    writer: Option<String>,
    tenant_id: Option<i64>,
    device_id: Option<String>,
    devices: Option<String>,
}

/// Announces the recorded devices of this transaction to other nodes, with one row for all instead of one for each.
pub async fn announce_recorded(tx: &Tx, writer: &str, devices: &[u64]) -> Result<(), StorageError> {
    let devices = hex::encode(
        devices
            .iter()
            .flat_map(|hash| hash.to_be_bytes())
            .collect::<Vec<_>>(),
    );
    execute(
        tx.transaction(),
        "INSERT INTO device_changes (writer, devices) VALUES ($1, $2)",
        [writer.into(), devices.into()],
    )
    .await?;
    Ok(())
}

/// Suppresses the announcements of triggers in this transaction until [`end_recording`].
pub async fn begin_recording(tx: &Tx) -> Result<(), StorageError> {
    set_recording(tx, true).await
}

/// Enables the announcements of triggers again. A rollback without this call enables them too.
pub async fn end_recording(tx: &Tx) -> Result<(), StorageError> {
    set_recording(tx, false).await
}

async fn set_recording(tx: &Tx, is_on: bool) -> Result<(), StorageError> {
    let statement = match (backend(tx), is_on) {
        (Backend::Postgres, true) => "SELECT set_config('slipway.recording', 'on', true)",
        (Backend::Postgres, false) => "SELECT set_config('slipway.recording', 'off', true)",
        (Backend::Sqlite, true) => "UPDATE device_recording SET is_on = 1",
        (Backend::Sqlite, false) => "UPDATE device_recording SET is_on = 0",
    };
    execute(tx.transaction(), statement, []).await?;
    Ok(())
}

/// Returns the current end of the feed, marked by a new row.
pub async fn append_end_marker(db: &Db, writer: &str) -> Result<Position, StorageError> {
    let tx = db.begin().await?;
    announce_recorded(&tx, writer, &[]).await?;
    tx.commit().await?;
    current_position(&db.begin_read().await?).await
}

/// Reads the changes since `position` and advances it.
pub async fn read_since(db: &Db, position: &mut Position) -> Result<ChangeBatch, StorageError> {
    let reader = db.begin_read().await?;
    let is_known = one(
        &reader,
        "SELECT 1 AS it FROM device_changes WHERE id = $1 AND stamp = $2",
        [position.id.into(), position.stamp.clone().into()],
    )
    .await?
    .is_some();
    if !is_known {
        *position = current_position(&reader).await?;
        return Ok(ChangeBatch::Unknown);
    }
    let (running, ended_below) = snapshot(&reader).await?;
    let rows = rows_since(&reader, position).await?;
    if i64::try_from(rows.len()).is_ok_and(|count| count > MAX_CHANGES) {
        *position = current_position(&reader).await?;
        return Ok(ChangeBatch::Unknown);
    }
    (position.running, position.ended_below) = (running, ended_below);
    if let Some(last) = rows.last().filter(|last| last.id > position.id) {
        position.id = last.id;
        position.stamp.clone_from(&last.stamp);
    }
    Ok(ChangeBatch::Changes(
        rows.into_iter().map(ChangeRow::into_change).collect(),
    ))
}

async fn rows_since(reader: &impl Reader, position: &Position) -> Result<Vec<ChangeRow>, StorageError> {
    let running: Vec<_> = position.running.iter().map(i64::to_string).collect();
    let late = if running.is_empty() {
        String::new()
    } else {
        format!("OR xid IN ({})", running.join(", "))
    };
    let text = format!(
        "SELECT id, stamp, writer, tenant_id, device_id, devices FROM device_changes WHERE id > $1 {late} ORDER BY id \
         LIMIT $2"
    );
    let values: [Value; 2] = [position.id.into(), (MAX_CHANGES + 1).into()];
    let connection = reader.connection();
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    let rows = connection.query_all_raw(statement).await?;
    let rows: Result<Vec<_>, _> = rows
        .iter()
        .map(|row| ChangeRow::from_query_result(row, ""))
        .collect();
    Ok(rows?)
}

async fn current_position(reader: &impl Reader) -> Result<Position, StorageError> {
    let (running, ended_below) = snapshot(reader).await?;
    let last = one(
        reader,
        "SELECT id, stamp FROM device_changes ORDER BY id DESC LIMIT 1",
        [],
    )
    .await?;
    let (id, stamp) = match last {
        Some(row) => (row.try_get("", "id")?, row.try_get("", "stamp")?),
        None => (0, String::new()),
    };
    Ok(Position {
        id,
        stamp,
        running,
        ended_below,
    })
}

/// Returns the running transactions, and the id below which all transactions have ended.
async fn snapshot(reader: &impl Reader) -> Result<(Vec<i64>, i64), StorageError> {
    if backend(reader) == Backend::Sqlite {
        return Ok((Vec::new(), 0));
    }
    let row = one(reader, "SELECT pg_current_snapshot()::text AS it", []).await?;
    let text: String = row.map_or_else(|| Ok(String::new()), |row| row.try_get("", "it"))?;
    // `xmin:xmax:`, followed by the running transactions in between.
    let mut parts = text.split(':');
    let ended_below = parts.next().and_then(|xmin| xmin.parse().ok()).unwrap_or(0);
    let running = parts.nth(1).unwrap_or_default().split(',');
    Ok((running.filter_map(|xid| xid.parse().ok()).collect(), ended_below))
}

/// Deletes some of the rows that every reader at `position` or beyond has read, except the newest row.
///
/// Returns `true` if more of them may remain.
pub async fn prune_before(db: &Db, position: &Position) -> Result<bool, StorageError> {
    let (condition, bound) = match db.backend() {
        Backend::Postgres => ("xid < $1", position.ended_below),
        Backend::Sqlite => ("id < $1", position.id),
    };
    let text = format!(
        "DELETE FROM device_changes WHERE id IN (SELECT id FROM device_changes WHERE {condition} AND id < (SELECT \
         max(id) FROM device_changes) LIMIT $2)"
    );
    let write = db.begin_single_write().await?;
    let removed = execute(write.connection(), &text, [bound.into(), PRUNE_BATCH.into()]).await?;
    write.confirm().await?;
    Ok(removed >= PRUNE_BATCH.unsigned_abs())
}

fn backend(reader: &impl Reader) -> Backend {
    match reader.connection().get_database_backend() {
        sea_orm::DbBackend::Postgres => Backend::Postgres,
        _ => Backend::Sqlite,
    }
}

async fn one(
    reader: &impl Reader,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<sea_orm::QueryResult>, StorageError> {
    let connection = reader.connection();
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    Ok(connection.query_one_raw(statement).await?)
}

async fn execute(
    connection: &impl ConnectionTrait,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StorageError> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    Ok(connection.execute_raw(statement).await?.rows_affected())
}

impl ChangeRow {
    fn into_change(self) -> DeviceChange {
        match (self.tenant_id, self.device_id, self.writer, self.devices) {
            (Some(tenant), Some(device), ..) => DeviceChange::Device { tenant, device },
            (_, _, Some(writer), Some(devices)) => DeviceChange::Recorded {
                writer,
                devices: read_hashes(&devices),
            },
            _ => DeviceChange::Every,
        }
    }
}

fn read_hashes(text: &str) -> Vec<u64> {
    let hashes = text.as_bytes().chunks(16).map(|digits| {
        let digits = str::from_utf8(digits).unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or_default()
    });
    hashes.collect()
}
