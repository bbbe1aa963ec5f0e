//! Catalog: tenants, apps, resources, releases and pins, and the revisions that identify its state.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{
    Columns, flag, index_on, instant, nullable_instant, nullable_number, nullable_text, number, of_tenant,
    owned_by, primary_key, small_number, text, unique_key, uuid,
};
use super::run;

/// Tables, parents before children.
pub(super) const NAMES: &[&str] = &[
    "tenants",
    "catalog_revisions",
    "org_directories",
    "apps",
    "package_names",
    "resources",
    "releases",
    "pins",
];

pub(super) fn tables(columns: &Columns) -> Vec<TableCreateStatement> {
    vec![
        tenants(),
        catalog_revisions(),
        org_directories(),
        apps(columns),
        package_names(columns),
        resources(columns),
        releases(columns),
        pins(columns),
    ]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index_on(
            "catalog_revisions",
            "catalog_revisions_position_idx",
            ["position"],
        ),
        index_on("apps", "apps_package_name_idx", ["tenant_id", "package_name"]),
        index_on(
            "package_names",
            "package_names_app_idx",
            ["tenant_id", "app_id", "position"],
        ),
        index_on("releases", "releases_app_idx", ["tenant_id", "app_id", "id"]),
        index_on("pins", "pins_app_idx", ["tenant_id", "app_id", "id"]),
    ]
}

/// Partial indexes as text, because both databases have the same syntax for their conditions. A discarded release frees
/// its version code.
pub(super) const PARTIAL_INDEXES: &[&str] = &["CREATE UNIQUE INDEX releases_version_key \
    ON releases (tenant_id, app_id, identifier, version_code) WHERE state <> 'discarded'"];

/// Creates the source of `catalog_revisions.position`: a sequence, or on SQLite, which has no sequences, a table of one
/// row.
pub(super) async fn create_position(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let statements: &[&str] = match manager.get_database_backend() {
        DbBackend::Postgres => &["CREATE SEQUENCE catalog_position"],
        _ => &[
            "CREATE TABLE catalog_position (value bigint NOT NULL)",
            "INSERT INTO catalog_position (value) VALUES (0)",
        ],
    };
    run(manager, statements).await
}

pub(super) async fn drop_position(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let statement = match manager.get_database_backend() {
        DbBackend::Postgres => "DROP SEQUENCE catalog_position",
        _ => "DROP TABLE catalog_position",
    };
    run(manager, &[statement]).await
}

fn tenants() -> TableCreateStatement {
    Table::create()
        .table("tenants")
        .col(number("id").primary_key())
        .col(text("name"))
        .col(flag("enabled"))
        .col(flag("offers_enabled"))
        // Credential that the first enrolment of a device requires: `key` or `code`.
        .col(text("enrolment").default("key").take())
        // JSON list; null allows any scheme except those that run or read something on the device.
        .col(nullable_text("push_url_schemes"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .check(Expr::col("id").gte(1))
        .take()
}

fn catalog_revisions() -> TableCreateStatement {
    Table::create()
        .table("catalog_revisions")
        .col(number("tenant_id").primary_key())
        .col(number("revision"))
        .col(text("head"))
        .col(number("position"))
        .foreign_key(&mut of_tenant(
            "catalog_revisions_tenant_fkey",
            "catalog_revisions",
        ))
        .take()
}

fn org_directories() -> TableCreateStatement {
    Table::create()
        .table("org_directories")
        .col(number("tenant_id").primary_key())
        .col(text("nodes"))
        .col(text("etag"))
        .col(instant("updated_at"))
        .foreign_key(&mut of_tenant("org_directories_tenant_fkey", "org_directories"))
        .take()
}

fn apps(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("apps")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(columns.key("package_name"))
        .col(text("app_name"))
        .col(nullable_text("icon_url"))
        .col(flag("enabled"))
        .col(number("revision"))
        .col(text("head"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .primary_key(&mut primary_key("apps_pkey", ["tenant_id", "id"]))
        .foreign_key(&mut of_tenant("apps_tenant_fkey", "apps"))
        .take()
}

/// Every name of every app, so that all names are unique in a tenant. The current name has position 0.
fn package_names(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("package_names")
        .col(number("tenant_id"))
        .col(columns.key("name"))
        .col(uuid("app_id"))
        .col(small_number("position"))
        .primary_key(&mut primary_key("package_names_pkey", ["tenant_id", "name"]))
        .foreign_key(&mut owned_by(
            "package_names_app_fkey",
            ("package_names", ["tenant_id", "app_id"]),
            ("apps", ["tenant_id", "id"]),
        ))
        .take()
}

fn resources(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("resources")
        .col(number("tenant_id"))
        .col(uuid("app_id"))
        .col(columns.key("identifier"))
        .col(nullable_text("name"))
        .col(text("kind"))
        .col(flag("enabled"))
        .col(flag("repair_on_mismatch"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .primary_key(&mut primary_key(
            "resources_pkey",
            ["tenant_id", "app_id", "identifier"],
        ))
        .foreign_key(&mut owned_by(
            "resources_app_fkey",
            ("resources", ["tenant_id", "app_id"]),
            ("apps", ["tenant_id", "id"]),
        ))
        .take()
}

fn releases(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("releases")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(uuid("app_id"))
        .col(columns.key("identifier"))
        .col(number("version_code"))
        .col(text("version_name"))
        .col(text("state"))
        .col(nullable_text("recall_mode"))
        .col(nullable_text("recall_reason"))
        .col(text("download_url"))
        .col(number("size"))
        .col(text("md5"))
        .col(nullable_text("sha256"))
        .col(text("update_desc"))
        .col(flag("auto_install"))
        .col(flag("mandatory"))
        .col(flag("floor"))
        .col(nullable_text("qrcode"))
        .col(nullable_text("icon_url"))
        .col(text("config_json"))
        .col(text("targeting"))
        // Hundredths of a percent.
        .col(small_number("rollout_share"))
        .col(nullable_text("rollout_key"))
        .col(text("rollout_unit"))
        .col(nullable_instant("starts_at"))
        .col(nullable_instant("ends_at"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .col(nullable_instant("published_at"))
        .primary_key(&mut primary_key("releases_pkey", ["tenant_id", "id"]))
        .foreign_key(&mut owned_by(
            "releases_resource_fkey",
            ("releases", ["tenant_id", "app_id", "identifier"]),
            ("resources", ["tenant_id", "app_id", "identifier"]),
        ))
        .check(Expr::col("version_code").gte(1))
        .check(Expr::col("size").gte(0))
        .check(Expr::col("rollout_share").between(0, 10_000))
        .take()
}

fn pins(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("pins")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(uuid("app_id"))
        .col(columns.key("identifier"))
        // One text for a device or an org node: the unique key cannot span a nullable id and a JSON path.
        .col(columns.key("target_key"))
        .col(nullable_text("device_id"))
        .col(nullable_text("org_path"))
        .col(text("mode"))
        .col(nullable_number("version_code"))
        .col(text("reason"))
        .col(nullable_instant("expires_at"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .primary_key(&mut primary_key("pins_pkey", ["tenant_id", "id"]))
        .index(&mut unique_key(
            "pins_target_key",
            ["tenant_id", "app_id", "identifier", "target_key"],
        ))
        .foreign_key(&mut owned_by(
            "pins_app_fkey",
            ("pins", ["tenant_id", "app_id"]),
            ("apps", ["tenant_id", "id"]),
        ))
        .check(Expr::cust("(device_id IS NULL) <> (org_path IS NULL)"))
        .take()
}
