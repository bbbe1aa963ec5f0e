//! Index of pushes by expiry, for the removal of old ones.

use sea_orm_migration::prelude::*;

pub(crate) struct PushRetention;

const INDEX: &str = "pushes_expires_at_idx";

impl MigrationName for PushRetention {
    fn name(&self) -> &'static str {
        "m0005_push_retention"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for PushRetention {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name(INDEX)
            .table("pushes")
            .col("expires_at")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name(INDEX).table("pushes").to_owned();
        manager.drop_index(index).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
