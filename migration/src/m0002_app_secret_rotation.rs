//! Second secret of app keys, so that one can be replaced while devices still sign with the other.

use sea_orm_migration::prelude::*;

pub(crate) struct AppSecretRotation;

const COLUMNS: [&str; 2] = ["previous_secret_sealed", "previous_sealing_key_id"];

impl MigrationName for AppSecretRotation {
    fn name(&self) -> &'static str {
        "m0002_app_secret_rotation"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for AppSecretRotation {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column per statement, because SQLite accepts only one alteration.
        for column in COLUMNS {
            let add = Table::alter()
                .table("app_keys")
                .add_column(ColumnDef::new(column).text().null())
                .to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            let remove = Table::alter().table("app_keys").drop_column(column).to_owned();
            manager.alter_table(remove).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
