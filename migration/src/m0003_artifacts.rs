//! Artifacts: files that releases refer to, the space that they use, and the quota of each tenant.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Artifacts;

impl MigrationName for Artifacts {
    fn name(&self) -> &'static str {
        "m0003_artifacts"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Artifacts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_UP,
            _ => SQLITE_UP,
        };
        run(manager, statements).await?;
        run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_DOWN,
            _ => SQLITE_DOWN,
        };
        run(manager, statements).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `id` names the object in the store. `facts` is JSON. `damage` is null while the content is intact.
///
/// The key of a download is unique over all tenants, because it is all that a download presents.
const POSTGRES_UP: &[&str] = &[
    "CREATE TABLE artifacts (\
     tenant_id bigint NOT NULL, sha256 text COLLATE \"C\" NOT NULL, id uuid NOT NULL, md5 text NOT NULL, \
     size bigint NOT NULL, filename text NOT NULL, kind text NOT NULL, package_name text COLLATE \"C\", \
     facts text NOT NULL, icon text, link_number bigint NOT NULL, download_key text COLLATE \"C\" NOT NULL, \
     keep boolean NOT NULL, created_by text NOT NULL, damage text, damaged_at timestamp with time zone, \
     scrubbed_at timestamp with time zone NOT NULL, unused_since timestamp with time zone, etag text NOT NULL, \
     created_at timestamp with time zone NOT NULL, updated_at timestamp with time zone NOT NULL, \
     CONSTRAINT artifacts_pkey PRIMARY KEY (tenant_id, sha256), \
     CONSTRAINT artifacts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (size >= 0), CHECK ((damage IS NULL) = (damaged_at IS NULL)))",
    "ALTER TABLE releases ADD COLUMN artifact_sha256 text COLLATE \"C\"",
    "ALTER TABLE releases ADD COLUMN min_sdk integer",
    "ALTER TABLE releases ADD CONSTRAINT releases_artifact_fkey FOREIGN KEY (tenant_id, artifact_sha256) \
     REFERENCES artifacts (tenant_id, sha256)",
];

/// SQLite adds only foreign keys of one column to a table, so that both sides have a generated column for it.
const SQLITE_UP: &[&str] = &[
    "CREATE TABLE artifacts (\
     tenant_id bigint NOT NULL, sha256 text NOT NULL, id uuid_text NOT NULL, md5 text NOT NULL, \
     size bigint NOT NULL, filename text NOT NULL, kind text NOT NULL, package_name text, \
     facts text NOT NULL, icon text, link_number bigint NOT NULL, download_key text NOT NULL, \
     keep boolean NOT NULL, created_by text NOT NULL, damage text, damaged_at timestamp_with_timezone_text, \
     scrubbed_at timestamp_with_timezone_text NOT NULL, unused_since timestamp_with_timezone_text, \
     etag text NOT NULL, created_at timestamp_with_timezone_text NOT NULL, \
     updated_at timestamp_with_timezone_text NOT NULL, \
     reference text NOT NULL GENERATED ALWAYS AS (tenant_id || '/' || sha256) STORED UNIQUE, \
     CONSTRAINT artifacts_pkey PRIMARY KEY (tenant_id, sha256), \
     CONSTRAINT artifacts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id), \
     CHECK (size >= 0), CHECK ((damage IS NULL) = (damaged_at IS NULL)))",
    "ALTER TABLE releases ADD COLUMN artifact_sha256 text",
    "ALTER TABLE releases ADD COLUMN min_sdk integer",
    "ALTER TABLE releases ADD COLUMN artifact_reference text \
     GENERATED ALWAYS AS (tenant_id || '/' || artifact_sha256) VIRTUAL REFERENCES artifacts (reference)",
    "CREATE INDEX releases_artifact_reference_idx ON releases (artifact_reference)",
];

const UP: &[&str] = &[
    "CREATE UNIQUE INDEX artifacts_id_key ON artifacts (tenant_id, id)",
    "CREATE UNIQUE INDEX artifacts_download_key_key ON artifacts (download_key)",
    "CREATE INDEX artifacts_package_name_idx ON artifacts (tenant_id, package_name, id)",
    "CREATE INDEX artifacts_scrubbed_at_idx ON artifacts (scrubbed_at)",
    "CREATE INDEX artifacts_unused_since_idx ON artifacts (unused_since) WHERE unused_since IS NOT NULL",
    "CREATE INDEX artifacts_damaged_at_idx ON artifacts (damaged_at) WHERE damaged_at IS NOT NULL",
    "CREATE INDEX releases_artifact_idx ON releases (tenant_id, artifact_sha256) WHERE artifact_sha256 IS NOT NULL",
    // One row for each tenant with artifacts, locked by every upload and deletion.
    "CREATE TABLE artifact_usage (tenant_id bigint NOT NULL PRIMARY KEY REFERENCES tenants (id), \
     used_bytes bigint NOT NULL, last_link bigint NOT NULL)",
    "ALTER TABLE tenants ADD COLUMN artifact_quota_bytes bigint NOT NULL DEFAULT 53687091200",
];

const POSTGRES_DOWN: &[&str] = &[
    "ALTER TABLE tenants DROP COLUMN artifact_quota_bytes",
    "DROP TABLE artifact_usage",
    "DROP INDEX releases_artifact_idx",
    "ALTER TABLE releases DROP CONSTRAINT releases_artifact_fkey",
    "ALTER TABLE releases DROP COLUMN min_sdk",
    "ALTER TABLE releases DROP COLUMN artifact_sha256",
    "DROP TABLE artifacts",
];

const SQLITE_DOWN: &[&str] = &[
    "ALTER TABLE tenants DROP COLUMN artifact_quota_bytes",
    "DROP TABLE artifact_usage",
    "DROP INDEX releases_artifact_idx",
    "DROP INDEX releases_artifact_reference_idx",
    "ALTER TABLE releases DROP COLUMN artifact_reference",
    "ALTER TABLE releases DROP COLUMN min_sdk",
    "ALTER TABLE releases DROP COLUMN artifact_sha256",
    "DROP TABLE artifacts",
];

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
