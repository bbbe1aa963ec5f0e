//! Indexes with which the jobs of artifacts read the rows that they need, and not those of all artifacts.

use sea_orm_migration::prelude::*;

pub(crate) struct ArtifactJobs;

impl MigrationName for ArtifactJobs {
    fn name(&self) -> &'static str {
        "m0008_artifact_jobs"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for ArtifactJobs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX artifacts_damaged_at_idx",
                "DROP INDEX artifacts_unused_since_idx",
                "CREATE INDEX artifacts_damaged_idx ON artifacts (scrubbed_at) WHERE damaged_at IS NOT NULL",
                // An exempt artifact can stay unused forever.
                "CREATE INDEX artifacts_deletable_idx ON artifacts (unused_since) \
                 WHERE unused_since IS NOT NULL AND NOT keep",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX artifacts_deletable_idx",
                "DROP INDEX artifacts_damaged_idx",
                "CREATE INDEX artifacts_unused_since_idx ON artifacts (unused_since) WHERE unused_since IS NOT NULL",
                "CREATE INDEX artifacts_damaged_at_idx ON artifacts (damaged_at) WHERE damaged_at IS NOT NULL",
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
