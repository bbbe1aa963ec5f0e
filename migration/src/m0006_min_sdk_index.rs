//! Orders the indexes of superseded releases by min SDK, so that a change costs the same however many releases a
//! resource has, also if their files require API levels.

use sea_orm_migration::prelude::*;

pub(crate) struct MinSdkIndex;

/// Index name and condition. The words are those of the statement that computes which releases are effective.
const INDEXES: [(&str, &str); 3] = [
    (
        "releases_everybody_idx",
        "state = 'published' AND rollout_share = 10000 AND starts_at IS NULL AND ends_at IS NULL \
         AND targeting = '{\"org_scopes\":[],\"org_exclusions\":[],\"device_types\":[],\
         \"host_version_min\":null,\"host_version_max\":null,\"attribute_rules\":[],\"device_ids\":[]}'",
    ),
    (
        "releases_supersedable_idx",
        "effective AND state = 'published' AND NOT floor AND NOT mandatory",
    ),
    (
        "releases_superseded_idx",
        "NOT effective AND state = 'published' AND NOT floor AND NOT mandatory",
    ),
];

impl MigrationName for MinSdkIndex {
    fn name(&self) -> &'static str {
        "m0006_min_sdk_index"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for MinSdkIndex {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, "identifier, COALESCE(min_sdk, 0), version_code").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, "identifier, version_code").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn replace(manager: &SchemaManager<'_>, columns: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for (name, condition) in INDEXES {
        connection
            .execute_unprepared(&format!("DROP INDEX {name}"))
            .await?;
        let create =
            format!("CREATE INDEX {name} ON releases (tenant_id, app_id, {columns}) WHERE {condition}");
        connection.execute_unprepared(&create).await?;
    }
    Ok(())
}
