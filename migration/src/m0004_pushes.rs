//! Pushes to named devices, and what a device holds for itself.

use sea_orm_migration::prelude::*;

mod columns;
mod credentials;
mod pushes;

pub(crate) struct Pushes;

/// Columns that tables from before get.
const ADDED: [&str; 2] = ["devices", "tenants"];

impl MigrationName for Pushes {
    fn name(&self) -> &'static str {
        "m0004_pushes"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Pushes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for table in ADDED {
            for column in added_to(table) {
                // One alteration per statement: SQLite takes no more.
                let add = Table::alter().table(table).add_column(column).to_owned();
                manager.alter_table(add).await?;
            }
        }
        for table in pushes::tables(backend)
            .into_iter()
            .chain(credentials::tables(backend))
        {
            manager.create_table(table).await?;
        }
        for index in pushes::INDEXES.into_iter().chain(credentials::INDEXES) {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in credentials::NAMES.into_iter().chain(pushes::NAMES) {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        for table in ADDED {
            for column in added_to(table) {
                let remove = Table::alter()
                    .table(table)
                    .drop_column(column.get_column_name())
                    .to_owned();
                manager.alter_table(remove).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn added_to(table: &str) -> Vec<ColumnDef> {
    if table == "devices" {
        return vec![
            // The sequence of the newest push to the device.
            ColumnDef::new("push_sequence")
                .big_integer()
                .not_null()
                .default(0)
                .take(),
            // The node that the device hangs on, if any.
            ColumnDef::new("connected_node").uuid().null().take(),
            // JSON, as the device told it when it enrolled.
            ColumnDef::new("attributes").text().null().take(),
        ];
    }
    vec![
        // What the first enrolment of a device takes: `key` or `code`.
        ColumnDef::new("enrolment")
            .text()
            .not_null()
            .default("key")
            .take(),
        // JSON list; null is any scheme but those that run or read something on the device.
        ColumnDef::new("push_url_schemes").text().null().take(),
    ]
}
