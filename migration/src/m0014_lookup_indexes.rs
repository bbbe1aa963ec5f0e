//! Indexes with which the pins of a target, the content with an MD5 digest, and the resources with an identifier are found
//! at the same cost however many the tenant has.

use sea_orm_migration::prelude::*;

pub(crate) struct LookupIndexes;

impl MigrationName for LookupIndexes {
    fn name(&self) -> &'static str {
        "m0014_lookup_indexes"
    }
}

/// Each ends with the order of its list.
const INDEXES: [&str; 4] = [
    "CREATE INDEX pins_target_idx ON pins (tenant_id, target_key, id)",
    "CREATE INDEX artifacts_md5_idx ON artifacts (tenant_id, md5, id)",
    "CREATE INDEX releases_md5_idx ON releases (tenant_id, md5, id) \
     WHERE artifact_sha256 IS NULL AND state <> 'discarded'",
    "CREATE INDEX resources_identifier_idx ON resources (tenant_id, identifier, app_id)",
];

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for LookupIndexes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX resources_identifier_idx",
                "DROP INDEX releases_md5_idx",
                "DROP INDEX artifacts_md5_idx",
                "DROP INDEX pins_target_idx",
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
