//! Platform API tokens; creator, last use and expiry of tokens and keys; the secret key that each device token needs.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct PeopleAndKeys;

const KEY_TABLES: [&str; 3] = ["api_tokens", "device_keys", "app_keys"];
const KEY_COLUMNS: [&str; 3] = ["created_by", "expires_at", "last_used_on"];
const DEVICE_TOKENS_INDEX: &str = "device_tokens_key_id_idx";

impl MigrationName for PeopleAndKeys {
    fn name(&self) -> &'static str {
        "m0006_people_and_keys"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for PeopleAndKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in KEY_TABLES {
            // SQLite accepts one change per ALTER TABLE.
            for column in [created_by(), expires_at(), last_used_on()] {
                let add = Table::alter().table(table).add_column(column).to_owned();
                manager.alter_table(add).await?;
            }
        }
        let backend = manager.get_database_backend();
        manager.create_table(platform_tokens(backend)).await?;
        let add = Table::alter()
            .table("device_tokens")
            .add_column(key_text("key_id", backend).null())
            .to_owned();
        manager.alter_table(add).await?;
        let index = Index::create()
            .name(DEVICE_TOKENS_INDEX)
            .table("device_tokens")
            .col("key_id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop()
            .name(DEVICE_TOKENS_INDEX)
            .table("device_tokens")
            .to_owned();
        manager.drop_index(index).await?;
        let remove = Table::alter()
            .table("device_tokens")
            .drop_column("key_id")
            .to_owned();
        manager.alter_table(remove).await?;
        manager
            .drop_table(Table::drop().table("platform_tokens").take())
            .await?;
        for table in KEY_TABLES {
            for column in KEY_COLUMNS {
                let remove = Table::alter().table(table).drop_column(column).to_owned();
                manager.alter_table(remove).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Tokens of pipelines that administer the installation. Tokens of tenants have the tenant in their primary key.
fn platform_tokens(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("platform_tokens")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(key_text("secret_hash", backend).not_null().unique_key())
        .col(created_by())
        .col(expires_at())
        .col(last_used_on())
        .col(ColumnDef::new("etag").text().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .take()
}

/// Name of the person or token that created the key, at that time.
fn created_by() -> ColumnDef {
    ColumnDef::new("created_by").text().null().take()
}

fn expires_at() -> ColumnDef {
    ColumnDef::new("expires_at")
        .timestamp_with_time_zone()
        .null()
        .take()
}

fn last_used_on() -> ColumnDef {
    ColumnDef::new("last_used_on").date().null().take()
}

/// Text that rows are found by, compared bytewise on both databases.
fn key_text(name: &'static str, backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().take();
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}
