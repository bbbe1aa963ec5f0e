//! Indexes with which a filtered page of the audit log, and the page of a file, cost the same however many events and
//! releases the tenant has.

use sea_orm_migration::prelude::*;

pub(crate) struct PageIndexes;

impl MigrationName for PageIndexes {
    fn name(&self) -> &'static str {
        "m0013_page_indexes"
    }
}

/// Filters of the audit log, in the order of its pages.
const AUDIT_INDEXES: [&str; 4] = [
    "CREATE INDEX audit_events_action_idx ON audit_events (tenant_id, action, id)",
    "CREATE INDEX audit_events_actor_name_idx ON audit_events (tenant_id, actor_name, id)",
    "CREATE INDEX audit_events_object_type_idx ON audit_events (tenant_id, object_type, id)",
    "CREATE INDEX audit_events_at_idx ON audit_events (tenant_id, at, id)",
];

/// In the order of the page: SQLite preferred to read all releases of the tenant in that order.
const ARTIFACT_INDEX: [&str; 2] = [
    "DROP INDEX releases_artifact_idx",
    "CREATE INDEX releases_artifact_idx ON releases (tenant_id, artifact_sha256, id) WHERE artifact_sha256 IS NOT NULL",
];

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for PageIndexes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &AUDIT_INDEXES).await?;
        run(manager, &ARTIFACT_INDEX).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX releases_artifact_idx",
                "CREATE INDEX releases_artifact_idx ON releases (tenant_id, artifact_sha256) \
                 WHERE artifact_sha256 IS NOT NULL",
                "DROP INDEX audit_events_at_idx",
                "DROP INDEX audit_events_object_type_idx",
                "DROP INDEX audit_events_actor_name_idx",
                "DROP INDEX audit_events_action_idx",
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
