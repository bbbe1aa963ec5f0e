//! The content of apps that changed with a revision, and indexes for the releases that can become superseded or effective.
//! The reload of an app then costs what changed, however many releases the app has.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct ChangedContent;

impl MigrationName for ChangedContent {
    fn name(&self) -> &'static str {
        "m0003_changed_content"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for ChangedContent {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let uuid = match manager.get_database_backend() {
            DbBackend::Postgres => "uuid",
            _ => "uuid_text",
        };
        let app_revisions = format!(
            "CREATE TABLE app_revisions (tenant_id bigint NOT NULL, app_id {uuid} NOT NULL, revision bigint NOT NULL, \
             head text NOT NULL, CONSTRAINT app_revisions_pkey PRIMARY KEY (tenant_id, app_id, revision), \
             CONSTRAINT app_revisions_app_fkey FOREIGN KEY (tenant_id, app_id) REFERENCES apps (tenant_id, id) \
             ON DELETE CASCADE)"
        );
        run(
            manager,
            &[
                // The revision of the app at the last change of the row. Earlier changes have no revision.
                "ALTER TABLE apps ADD COLUMN changed_in bigint NOT NULL DEFAULT 0",
                "ALTER TABLE resources ADD COLUMN changed_in bigint NOT NULL DEFAULT 0",
                "CREATE INDEX resources_changed_idx ON resources (tenant_id, app_id, changed_in)",
                &app_revisions,
                "CREATE INDEX releases_everybody_idx ON releases (tenant_id, app_id, identifier, version_code) \
                 WHERE state = 'published' AND rollout_share = 10000 AND starts_at IS NULL AND ends_at IS NULL \
                 AND targeting = '{\"org_scopes\":[],\"org_exclusions\":[],\"device_types\":[],\
                 \"host_version_min\":null,\"host_version_max\":null,\"attribute_rules\":[],\"device_ids\":[]}'",
                "CREATE INDEX releases_supersedable_idx ON releases (tenant_id, app_id, identifier, version_code) \
                 WHERE effective AND state = 'published' AND NOT floor AND NOT mandatory",
                "CREATE INDEX releases_superseded_idx ON releases (tenant_id, app_id, identifier, version_code) \
                 WHERE NOT effective AND state = 'published' AND NOT floor AND NOT mandatory",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(
            manager,
            &[
                "DROP INDEX releases_superseded_idx",
                "DROP INDEX releases_supersedable_idx",
                "DROP INDEX releases_everybody_idx",
                "DROP TABLE app_revisions",
                "DROP INDEX resources_changed_idx",
                "ALTER TABLE resources DROP COLUMN changed_in",
                "ALTER TABLE apps DROP COLUMN changed_in",
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
