//! Indexes with which a page of devices, or of the releases of one resource, costs the same however many there are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct ListIndexes;

impl MigrationName for ListIndexes {
    fn name(&self) -> &'static str {
        "m0011_list_indexes"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for ListIndexes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let collation = match manager.get_database_backend() {
            DbBackend::Postgres => " COLLATE \"C\"",
            _ => "",
        };
        // The places of a device can be longer than a key of an index may be.
        let first_place = format!(
            "CREATE INDEX devices_place_idx ON devices (tenant_id, (substr(org_info, 1, 200){collation}), device_id)"
        );
        run(
            manager,
            &[
                &first_place,
                // Devices with several places. The others begin with their only place.
                "CREATE INDEX devices_places_idx ON devices (tenant_id, device_id) WHERE org_info LIKE '%},{%'",
                "CREATE INDEX devices_type_idx ON devices (tenant_id, device_type, device_id)",
                "CREATE INDEX releases_resource_idx ON releases (tenant_id, app_id, identifier, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX releases_resource_idx",
                "DROP INDEX devices_type_idx",
                "DROP INDEX devices_places_idx",
                "DROP INDEX devices_place_idx",
            ],
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
