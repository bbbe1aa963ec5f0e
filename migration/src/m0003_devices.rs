//! Devices and their installs, as reported by imports and checks.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct Devices;

impl MigrationName for Devices {
    fn name(&self) -> &'static str {
        "m0003_devices"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for Devices {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.create_table(devices(backend)).await?;
        manager.create_table(device_installs(backend)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["device_installs", "devices"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn devices(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("devices")
        .col(ColumnDef::new("tenant_id").big_integer().not_null())
        .col(key("device_id", backend).not_null())
        .col(key("project_id", backend).null())
        .col(ColumnDef::new("device_type").text().null())
        // JSON; null while unknown.
        .col(ColumnDef::new("org_info").text().null())
        // Source of the row: the number of new ids from checks is limited.
        .col(ColumnDef::new("source").text().not_null())
        .col(ColumnDef::new("first_seen_at").timestamp_with_time_zone().null())
        .col(ColumnDef::new("last_seen_at").timestamp_with_time_zone().null())
        .primary_key(index("devices_pkey", &["tenant_id", "device_id"]).primary())
        .foreign_key(
            ForeignKey::create()
                .name("devices_tenant_fkey")
                .from("devices", "tenant_id")
                .to("tenants", "id"),
        )
        .check(Expr::cust("source IN ('check', 'import')"))
        .take()
}

fn device_installs(backend: DbBackend) -> TableCreateStatement {
    let keys = ["tenant_id", "device_id", "package_name", "identifier"];
    Table::create()
        .table("device_installs")
        .col(ColumnDef::new("tenant_id").big_integer().not_null())
        .col(key("device_id", backend).not_null())
        .col(key("package_name", backend).not_null())
        .col(key("identifier", backend).not_null())
        .col(ColumnDef::new("version_code").big_integer().not_null())
        .col(ColumnDef::new("seen_at").timestamp_with_time_zone().not_null())
        .primary_key(index("device_installs_pkey", &keys).primary())
        .foreign_key(
            ForeignKey::create()
                .name("device_installs_device_fkey")
                .from("device_installs", ("tenant_id", "device_id"))
                .to("devices", ("tenant_id", "device_id"))
                .on_delete(ForeignKeyAction::Cascade),
        )
        .check(Expr::col("version_code").gte(1))
        .take()
}

/// Returns the indexes. They contain no instant that changes every day, so that PostgreSQL rewrites no index for it.
fn indexes() -> [IndexCreateStatement; 3] {
    [
        index("devices_project_idx", &["tenant_id", "project_id", "device_id"])
            .table("devices")
            .take(),
        index("devices_first_seen_at_idx", &["tenant_id", "first_seen_at"])
            .table("devices")
            .take(),
        index(
            "device_installs_version_idx",
            &["tenant_id", "package_name", "identifier", "version_code"],
        )
        .table("device_installs")
        .take(),
    ]
}

/// Text that rows are found or sorted by, compared bytewise on both databases.
fn key(name: &'static str, backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().take();
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

fn index(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).take();
    for column in columns {
        index.col(*column);
    }
    index
}
