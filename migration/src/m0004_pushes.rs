//! Pushes to named devices, and the devices' own credentials.

use sea_orm_migration::prelude::*;

mod columns;
mod credentials;
mod pushes;

pub(crate) struct Pushes;

/// Existing tables that get new columns.
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
                // One column per statement, because SQLite accepts only one alteration.
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
            // Sequence of the newest push to the device.
            ColumnDef::new("push_sequence")
                .big_integer()
                .not_null()
                .default(0)
                .take(),
            // Node that the device is connected to, if any.
            ColumnDef::new("connected_node").uuid().null().take(),
            // Attributes from the device's enrolment, as JSON.
            ColumnDef::new("attributes").text().null().take(),
        ];
    }
    vec![
        // Credential that the first enrolment of a device requires: `key` or `code`.
        ColumnDef::new("enrolment")
            .text()
            .not_null()
            .default("key")
            .take(),
        // JSON list; null allows any scheme except those that run or read something on the device.
        ColumnDef::new("push_url_schemes").text().null().take(),
    ]
}
