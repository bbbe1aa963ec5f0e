//! Adoption of versions over time: the daily counts of each resource, and the last count of each tenant.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Adoption;

impl MigrationName for Adoption {
    fn name(&self) -> &'static str {
        "m0007_adoption"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Adoption {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_UP,
            _ => SQLITE_UP,
        };
        run(manager, statements).await?;
        run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `versions` is JSON. `app_id` has no foreign key, because the rows of a deleted app are removed in batches, as
/// `deleted_apps` requests.
const POSTGRES_UP: &[&str] = &[
    "CREATE TABLE adoption_days (\
     tenant_id bigint NOT NULL, app_id uuid NOT NULL, identifier text COLLATE \"C\" NOT NULL, day date NOT NULL, \
     versions text NOT NULL, others bigint NOT NULL, \
     CONSTRAINT adoption_days_pkey PRIMARY KEY (tenant_id, app_id, identifier, day), \
     CONSTRAINT adoption_days_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (others >= 0))",
    "CREATE TABLE adoption_counts (tenant_id bigint NOT NULL PRIMARY KEY REFERENCES tenants (id), \
     counted_at timestamp with time zone NOT NULL)",
];

const SQLITE_UP: &[&str] = &[
    "CREATE TABLE adoption_days (\
     tenant_id bigint NOT NULL, app_id uuid_text NOT NULL, identifier text NOT NULL, day date_text NOT NULL, \
     versions text NOT NULL, others bigint NOT NULL, \
     CONSTRAINT adoption_days_pkey PRIMARY KEY (tenant_id, app_id, identifier, day), \
     CONSTRAINT adoption_days_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (others >= 0))",
    "CREATE TABLE adoption_counts (tenant_id bigint NOT NULL PRIMARY KEY REFERENCES tenants (id), \
     counted_at timestamp_with_timezone_text NOT NULL)",
];

/// Finds the rows of a day, and those that are too old.
const UP: &[&str] =
    &["CREATE INDEX adoption_days_day_idx ON adoption_days (day, tenant_id, app_id, identifier)"];

const DOWN: &[&str] = &["DROP TABLE adoption_counts", "DROP TABLE adoption_days"];

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
