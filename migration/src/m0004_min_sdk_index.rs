//! Finds the newest release for each min SDK of a resource, so that a change costs the same however many releases it has.

use sea_orm_migration::prelude::*;

pub(crate) struct MinSdkIndex;

impl MigrationName for MinSdkIndex {
    fn name(&self) -> &'static str {
        "m0004_min_sdk_index"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for MinSdkIndex {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let create = "CREATE INDEX releases_min_sdk_idx \
                      ON releases (tenant_id, app_id, identifier, min_sdk, version_code)";
        manager
            .get_connection()
            .execute_unprepared(create)
            .await
            .map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop_index = "DROP INDEX releases_min_sdk_idx";
        manager
            .get_connection()
            .execute_unprepared(drop_index)
            .await
            .map(drop)
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
