//! Column types of the tables.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Builder of columns. A column is `NOT NULL` unless its name says otherwise.
pub(super) struct Columns {
    backend: DbBackend,
}

impl Columns {
    pub(super) fn of(backend: DbBackend) -> Self {
        Self { backend }
    }

    /// Text that rows are found or sorted by, compared bytewise on both databases regardless of PostgreSQL's locale.
    pub(super) fn key(&self, name: &'static str) -> ColumnDef {
        self.nullable_key(name).not_null().take()
    }

    pub(super) fn nullable_key(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name).text().take();
        if self.backend == DbBackend::Postgres {
            column.extra("COLLATE \"C\"");
        }
        column
    }
}

/// Text that is only stored. Lists and documents are JSON in such columns, because `jsonb` refuses `\u0000`.
pub(super) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

pub(super) fn nullable_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

pub(super) fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

pub(super) fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

pub(super) fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

pub(super) fn nullable_number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

pub(super) fn small_number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().take()
}

pub(super) fn nullable_small_number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().null().take()
}

pub(super) fn instant(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().not_null().take()
}

pub(super) fn nullable_instant(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().null().take()
}

pub(super) fn nullable_date(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).date().null().take()
}

pub(super) fn nullable_uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().null().take()
}

/// Primary key of several columns. Its name is the same on both databases and appears in PostgreSQL's messages.
pub(super) fn primary_key<const N: usize>(
    name: &'static str,
    columns: [&'static str; N],
) -> IndexCreateStatement {
    index(name, columns).primary().take()
}

pub(super) fn unique_key<const N: usize>(
    name: &'static str,
    columns: [&'static str; N],
) -> IndexCreateStatement {
    index(name, columns).unique().take()
}

/// Index for [`SchemaManager::create_index`].
pub(super) fn index_on<const N: usize>(
    table: &'static str,
    name: &'static str,
    columns: [&'static str; N],
) -> IndexCreateStatement {
    index(name, columns).table(table).take()
}

fn index<const N: usize>(name: &'static str, columns: [&'static str; N]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).take();
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
    reference(name, (table, columns), (parent, parent_columns))
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// Foreign key to a tenant. Tenants are never deleted, so it does not cascade.
pub(super) fn of_tenant(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    reference(name, (table, ["tenant_id"]), ("tenants", ["id"]))
}

fn reference<const N: usize>(
    name: &'static str,
    (table, columns): (&'static str, [&'static str; N]),
    (parent, parent_columns): (&'static str, [&'static str; N]),
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create()
        .name(name)
        .from_tbl(table)
        .to_tbl(parent)
        .take();
    for (column, parent_column) in columns.into_iter().zip(parent_columns) {
        key.from_col(column).to_col(parent_column);
    }
    key
}
