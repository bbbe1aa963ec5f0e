//! The releases that a check can depend on, and the order of version names, as columns. A change of a release then costs
//! the same however many releases its app has.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct EffectiveReleases;

impl MigrationName for EffectiveReleases {
    fn name(&self) -> &'static str {
        "m0002_effective_releases"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for EffectiveReleases {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let collation = match manager.get_database_backend() {
            DbBackend::Postgres => " COLLATE \"C\"",
            _ => "",
        };
        let version_order = format!("ALTER TABLE releases ADD COLUMN version_order text{collation}");
        run(
            manager,
            &[
                "ALTER TABLE releases ADD COLUMN effective boolean NOT NULL DEFAULT TRUE",
                &version_order,
                // Never equal to a revision: the flags of this app's releases are not computed yet.
                "ALTER TABLE apps ADD COLUMN effective_as_of bigint NOT NULL DEFAULT -1",
                "CREATE INDEX releases_effective_idx \
                 ON releases (tenant_id, app_id, effective, identifier, version_code)",
                "CREATE INDEX releases_version_order_idx \
                 ON releases (tenant_id, app_id, identifier, version_order)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX releases_version_order_idx",
                "DROP INDEX releases_effective_idx",
                "ALTER TABLE apps DROP COLUMN effective_as_of",
                "ALTER TABLE releases DROP COLUMN version_order",
                "ALTER TABLE releases DROP COLUMN effective",
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
