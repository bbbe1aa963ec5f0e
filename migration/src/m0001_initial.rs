//! Initial schema: the catalog, people and keys, and operational records.

mod catalog;
mod columns;
mod identity;
mod operation;

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
    ];
    for table in tables.into_iter().flatten() {
        manager.create_table(table).await?;
    }
    let indexes = [catalog::indexes(), identity::indexes(), operation::indexes()];
    for index in indexes.into_iter().flatten() {
        manager.create_index(index).await?;
    }
    catalog::create_version_key(manager).await?;
    catalog::create_position(manager).await
}

async fn drop_all(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    catalog::drop_position(manager).await?;
    // Children before their parents: neither database drops a table with references to it.
    for name in [operation::NAMES, identity::NAMES, catalog::NAMES]
        .into_iter()
        .flat_map(|names| names.iter().rev())
    {
        manager.drop_table(Table::drop().table(*name).take()).await?;
    }
    Ok(())
}
