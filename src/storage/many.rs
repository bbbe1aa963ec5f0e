//! Many rows by one statement.

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel};

use super::{Reader, StorageError, Tx};

/// Rows or ids in one statement: SQLite binds 32,766 values at most, and no row that is written so has more than 32.
pub(super) const ROWS: usize = 1_000;

/// Inserts rows, and does what `overwrite` says with those that are there, each with its own values. They come in the
/// order of their keys.
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
