//! Conversion between the plain columns of a row and domain values.

use std::fmt::Display;

use sea_orm::{DbErr, FromQueryResult, QueryResult};
use serde::Serialize;

use super::StorageError;

/// Identity of a row, for errors of unreadable columns.
pub(super) struct Row<Id> {
    table: &'static str,
    id: Id,
}

impl<Id: Display> Row<Id> {
    pub(super) fn of(table: &'static str, id: Id) -> Self {
        Self { table, id }
    }

    /// Returns the parsed column, or an error that names the row, the column and the reason.
    pub(super) fn column<T, E: Display>(
        &self,
        column: &'static str,
        parsed: Result<T, E>,
    ) -> Result<T, StorageError> {
        parsed.map_err(|reason| StorageError::CorruptRow {
            table: self.table,
            column,
            id: self.id.to_string(),
            reason: reason.to_string(),
        })
    }
}

/// Reads rows of a query that was sent together with others.
pub(super) fn models<M: FromQueryResult>(rows: &[QueryResult]) -> Result<Vec<M>, DbErr> {
    rows.iter().map(|row| M::from_query_result(row, "")).collect()
}

/// Returns a value as text for a JSON column.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("values of the catalog have text keys and serialise")
}
