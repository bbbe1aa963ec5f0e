//! Writes of many rows in one statement.

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel};

use super::{Reader, StorageError, Tx};

/// Rows or ids per statement. SQLite binds at most 32,766 values, and no row written this way has more than 32.
pub(super) const ROWS: usize = 1_000;

/// Inserts rows and applies `overwrite` to existing ones, each with its own values.
///
/// Callers must pass the rows in the order of their keys.
pub(super) async fn upsert<E: EntityTrait>(
    tx: &Tx,
    rows: impl IntoIterator<Item = E::Model>,
    overwrite: &OnConflict,
) -> Result<(), StorageError>
where
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let rows: Vec<_> = rows.into_iter().map(IntoActiveModel::into_active_model).collect();
    for rows in rows.chunks(ROWS) {
        E::insert_many(rows.to_vec())
            .on_conflict(overwrite.clone())
            .exec_without_returning(tx.connection())
            .await?;
    }
    Ok(())
}
