//! Numbers of devices by version and day, and by org places. Triggers keep them with each write of a device, so that a
//! count does not read the devices. On PostgreSQL the triggers append changes, which the program adds to the numbers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct DeviceCounts;

impl MigrationName for DeviceCounts {
    fn name(&self) -> &'static str {
        "m0015_device_counts"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for DeviceCounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => include_str!("m0015_device_counts/postgres_up.sql"),
            _ => include_str!("m0015_device_counts/sqlite_up.sql"),
        };
        run(manager, statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => include_str!("m0015_device_counts/postgres_down.sql"),
            _ => include_str!("m0015_device_counts/sqlite_down.sql"),
        };
        run(manager, statements).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(statements).await?;
    Ok(())
}
