//! Numbers of devices at and below each node of the org directories, and the last count of each tenant.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct OrgDeviceCounts;

impl MigrationName for OrgDeviceCounts {
    fn name(&self) -> &'static str {
        "m0009_org_device_counts"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for OrgDeviceCounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_UP,
            _ => SQLITE_UP,
        };
        run(manager, statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `parent` has the codes above the node as a JSON list, so that one range of the key has the nodes of one level. The
/// row with an empty `parent` and `code` has all devices of the tenant. Nodes without devices have no row.
const POSTGRES_UP: &[&str] = &[
    "CREATE TABLE org_device_counts (\
     tenant_id bigint NOT NULL, parent text COLLATE \"C\" NOT NULL, code text COLLATE \"C\" NOT NULL, \
     devices bigint NOT NULL, \
     CONSTRAINT org_device_counts_pkey PRIMARY KEY (tenant_id, parent, code), \
     CONSTRAINT org_device_counts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (devices > 0))",
    "ALTER TABLE adoption_counts ADD COLUMN nodes_counted_at timestamp with time zone",
];

const SQLITE_UP: &[&str] = &[
    "CREATE TABLE org_device_counts (\
     tenant_id bigint NOT NULL, parent text NOT NULL, code text NOT NULL, devices bigint NOT NULL, \
     CONSTRAINT org_device_counts_pkey PRIMARY KEY (tenant_id, parent, code), \
     CONSTRAINT org_device_counts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (devices > 0))",
    "ALTER TABLE adoption_counts ADD COLUMN nodes_counted_at timestamp_with_timezone_text",
];

const DOWN: &[&str] = &[
    "ALTER TABLE adoption_counts DROP COLUMN nodes_counted_at",
    "DROP TABLE org_device_counts",
];

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
