//! Name of the sender of each push, as it was when the push was accepted.

use sea_orm_migration::prelude::*;

pub(crate) struct PushSenders;

impl MigrationName for PushSenders {
    fn name(&self) -> &'static str {
        "m0010_push_senders"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for PushSenders {
    /// Earlier pushes, and those of nodes of the previous version, have no name.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE pushes ADD COLUMN sender_name text";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE pushes DROP COLUMN sender_name";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
