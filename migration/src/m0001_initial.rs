//! Initial schema: the catalog, people and keys, devices, pushes, and operational records.

mod catalog;
mod columns;
mod device_changes;
mod devices;
mod identity;
mod operation;
mod pushes;

use sea_orm_migration::prelude::*;

use self::columns::Columns;

pub(crate) struct Initial;

impl MigrationName for Initial {
    fn name(&self) -> &'static str {
        "m0001_initial"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Initial {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_all(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_all(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::of(manager.get_database_backend());
    let tables = [
        catalog::tables(&columns),
        identity::tables(&columns),
        operation::tables(&columns),
        devices::tables(&columns),
        pushes::tables(&columns),
    ];
    for table in tables.into_iter().flatten() {
        manager.create_table(table).await?;
    }
    let indexes = [
        catalog::indexes(),
        identity::indexes(),
        operation::indexes(),
        devices::indexes(),
        pushes::indexes(),
    ];
    for index in indexes.into_iter().flatten() {
        manager.create_index(index).await?;
    }
    for indexes in [
        catalog::PARTIAL_INDEXES,
        devices::PARTIAL_INDEXES,
        pushes::PARTIAL_INDEXES,
    ] {
        run(manager, indexes).await?;
    }
    catalog::create_position(manager).await?;
    device_changes::create(manager).await
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

async fn drop_all(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    device_changes::drop(manager).await?;
    catalog::drop_position(manager).await?;
    // Children before their parents: neither database drops a table with references to it.
    let names = [
        pushes::NAMES,
        devices::NAMES,
        operation::NAMES,
        identity::NAMES,
        catalog::NAMES,
    ];
    for name in names.into_iter().flat_map(|names| names.iter().rev()) {
        manager.drop_table(Table::drop().table(*name).take()).await?;
    }
    Ok(())
}
