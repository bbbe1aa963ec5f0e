//! Column types of this migration's tables.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Text that rows are found or sorted by, compared bytewise on both databases.
pub(super) fn key(name: &'static str, backend: DbBackend) -> ColumnDef {
    nullable_key(name, backend).not_null().take()
}

pub(super) fn nullable_key(name: &'static str, backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().take();
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

pub(super) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

pub(super) fn nullable_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

pub(super) fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

pub(super) fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

pub(super) fn instant(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().not_null().take()
}

pub(super) fn nullable_instant(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().null().take()
}

pub(super) fn primary_key<const N: usize>(
    name: &'static str,
    columns: [&'static str; N],
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).primary().take();
    for column in columns {
        index.col(column);
    }
    index
}

/// Foreign key whose row is deleted with the row that it references.
pub(super) fn owned_by<const N: usize>(
    name: &'static str,
    (table, columns): (&'static str, [&'static str; N]),
    (parent, parent_columns): (&'static str, [&'static str; N]),
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create()
        .name(name)
        .from_tbl(table)
        .to_tbl(parent)
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    for (column, parent_column) in columns.into_iter().zip(parent_columns) {
        key.from_col(column).to_col(parent_column);
    }
    key
}
