//! Servers of this installation that run or ran recently.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::entity::node::{Column, Entity, Model};
use super::{Db, Reader, StorageError, Tx};
use slipway_domain::catalog::instant::in_micros;

/// Records that a node runs.
pub async fn upsert_seen(tx: &Tx, node: Uuid, now: DateTime<Utc>) -> Result<(), StorageError> {
    let row = Model {
        id: node,
        seen_at: in_micros(now),
    };
    let overwrite = OnConflict::column(Column::Id)
        .update_column(Column::SeenAt)
        .to_owned();
    Entity::insert(row.into_active_model())
        .on_conflict(overwrite)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Lists the nodes seen after an instant.
pub async fn list_seen_after(reader: &impl Reader, after: DateTime<Utc>) -> Result<Vec<Uuid>, StorageError> {
    let rows = Entity::find()
        .filter(Column::SeenAt.gt(in_micros(after)))
        .all(reader.connection())
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Deletes the nodes last seen before an instant and returns their number.
pub async fn delete_seen_before(db: &Db, before: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::SeenAt.lt(in_micros(before)))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}
