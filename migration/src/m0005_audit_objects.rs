//! An index that finds the history of one object among the audit events of its tenant.

use sea_orm_migration::prelude::*;

pub(crate) struct AuditObjects;

impl MigrationName for AuditObjects {
    fn name(&self) -> &'static str {
        "m0005_audit_objects"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for AuditObjects {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX audit_events_object_idx ON audit_events (tenant_id, object_id, id)";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = "DROP INDEX audit_events_object_idx";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
