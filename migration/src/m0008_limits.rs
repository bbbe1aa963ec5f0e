//! Refresh token counters of sessions, and the networks that sessions are used from.
//!
//! Existing sessions end: their refresh tokens were random, and only their hashes were stored.

use sea_orm_migration::prelude::*;

pub(crate) struct Limits;

const OLD_COLUMN: &str = "refresh_hash";

impl MigrationName for Limits {
    fn name(&self) -> &'static str {
        "m0008_limits"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Limits {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        end_sessions(manager).await?;
        let remove = Table::alter()
            .table("sessions")
            .drop_column(OLD_COLUMN)
            .to_owned();
        manager.alter_table(remove).await?;
        // One column per statement, because SQLite accepts only one alteration.
        for column in columns() {
            let add = Table::alter().table("sessions").add_column(column).to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        end_sessions(manager).await?;
        for column in columns() {
            let name = column.get_column_name();
            let remove = Table::alter().table("sessions").drop_column(name).to_owned();
            manager.alter_table(remove).await?;
        }
        let column = ColumnDef::new(OLD_COLUMN)
            .text()
            .not_null()
            .default("")
            .to_owned();
        let add = Table::alter().table("sessions").add_column(column).to_owned();
        manager.alter_table(add).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn columns() -> [ColumnDef; 3] {
    let mut generation = ColumnDef::new("generation");
    let mut recent_refreshes = ColumnDef::new("recent_refreshes");
    let mut network = ColumnDef::new("network");
    generation.big_integer().not_null().default(1);
    recent_refreshes.text().not_null().default("[]");
    network.text().null();
    [generation, recent_refreshes, network]
}

async fn end_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    connection
        .execute_unprepared("DELETE FROM sessions")
        .await
        .map(drop)
}
