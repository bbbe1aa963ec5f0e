//! From the plain columns of a row to values of the domain, and back.

use std::fmt::Display;

use serde::Serialize;

use super::StorageError;

/// Names a row in the error of a column that cannot be read.
pub(super) struct Row<Id> {
    table: &'static str,
    id: Id,
}

impl<Id: Display> Row<Id> {
    pub(super) fn of(table: &'static str, id: Id) -> Self {
        Self { table, id }
    }

    /// The parsed column, or which row and column is corrupt and why.
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

/// Text for a JSON column.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("values of the catalog have text keys and serialise")
}
