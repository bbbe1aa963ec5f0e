//! Indexes with which a filtered page of the audit log costs the same however many events the tenant has.

use sea_orm_migration::prelude::*;

pub(crate) struct AuditFilters;

impl MigrationName for AuditFilters {
    fn name(&self) -> &'static str {
        "m0013_audit_filters"
    }
}

const INDEXES: [(&str, &str); 4] = [
    ("audit_events_action_idx", "action"),
    ("audit_events_actor_name_idx", "actor_name"),
    ("audit_events_object_type_idx", "object_type"),
    ("audit_events_at_idx", "at"),
];

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for AuditFilters {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, column) in INDEXES {
            let index = format!("CREATE INDEX {name} ON audit_events (tenant_id, {column}, id)");
            manager.get_connection().execute_unprepared(&index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            let index = format!("DROP INDEX {name}");
            manager.get_connection().execute_unprepared(&index).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
