//! Devices, their installs, and their own credentials.

use sea_orm_migration::prelude::*;

use super::columns::{
    Columns, index_on, instant, nullable_instant, nullable_text, nullable_uuid, number, of_tenant, owned_by,
    primary_key, text, uuid,
};

/// Tables, parents before children.
pub(super) const NAMES: &[&str] = &[
    "devices",
    "device_installs",
    "device_tokens",
    "enrolment_codes",
    "deleted_apps",
];

/// Nodes track only tokens that were replaced.
pub(super) const PARTIAL_INDEXES: &[&str] =
    &["CREATE INDEX device_tokens_replaced_idx ON device_tokens (issued_at) WHERE generation > 1"];

pub(super) fn tables(columns: &Columns) -> Vec<TableCreateStatement> {
    vec![
        devices(columns),
        device_installs(columns),
        device_tokens(columns),
        enrolment_codes(columns),
        deleted_apps(),
    ]
}

/// Returns the indexes. They contain no instant that changes every day, so that PostgreSQL rewrites no index for it.
pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index_on(
            "devices",
            "devices_project_idx",
            ["tenant_id", "project_id", "device_id"],
        ),
        index_on(
            "devices",
            "devices_first_seen_at_idx",
            ["tenant_id", "first_seen_at"],
        ),
        index_on(
            "device_installs",
            "device_installs_version_idx",
            ["tenant_id", "package_name", "identifier", "version_code"],
        ),
        index_on("device_tokens", "device_tokens_key_id_idx", ["key_id"]),
        index_on(
            "enrolment_codes",
            "enrolment_codes_device_idx",
            ["tenant_id", "device_id"],
        ),
    ]
}

fn devices(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("devices")
        .col(number("tenant_id"))
        .col(columns.key("device_id"))
        .col(columns.nullable_key("project_id"))
        .col(nullable_text("device_type"))
        // JSON; null while unknown.
        .col(nullable_text("org_info"))
        // Attributes from the device's enrolment, as JSON.
        .col(nullable_text("attributes"))
        // Source of the row: the number of new ids from checks is limited.
        .col(text("source"))
        .col(nullable_instant("first_seen_at"))
        .col(nullable_instant("last_seen_at"))
        // Sequence of the newest push to the device.
        .col(number("push_sequence").default(0).take())
        // Node that the device is connected to, if any.
        .col(nullable_uuid("connected_node"))
        .primary_key(&mut primary_key("devices_pkey", ["tenant_id", "device_id"]))
        .foreign_key(&mut of_tenant("devices_tenant_fkey", "devices"))
        .check(Expr::cust("source IN ('check', 'import')"))
        .take()
}

/// An install belongs to an app, not to a name that another app may have later.
///
/// `app_id` has no foreign key, because installs of a deleted app are removed in batches, as `deleted_apps` requests.
fn device_installs(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("device_installs")
        .col(number("tenant_id"))
        .col(columns.key("device_id"))
        .col(columns.key("package_name"))
        .col(columns.key("identifier"))
        .col(nullable_uuid("app_id"))
        .col(number("version_code"))
        .col(instant("seen_at"))
        .primary_key(&mut primary_key(
            "device_installs_pkey",
            ["tenant_id", "device_id", "package_name", "identifier"],
        ))
        .foreign_key(&mut owned_by(
            "device_installs_device_fkey",
            ("device_installs", ["tenant_id", "device_id"]),
            ("devices", ["tenant_id", "device_id"]),
        ))
        .check(Expr::col("version_code").gte(1))
        .take()
}

/// A row outlives its device, because an old token must stay invalid.
fn device_tokens(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("device_tokens")
        .col(number("tenant_id"))
        .col(columns.key("device_id"))
        // Number of the device's tokens and revocations, counted from 1; only the newest token is valid.
        .col(number("generation"))
        .col(text("state").default("valid").take())
        // Null without a valid token.
        .col(nullable_text("token_hash"))
        // Secret key that the token needs; null for revoked tokens.
        .col(columns.nullable_key("key_id"))
        .col(instant("issued_at"))
        .primary_key(&mut primary_key("device_tokens_pkey", ["tenant_id", "device_id"]))
        .foreign_key(&mut of_tenant("device_tokens_tenant_fkey", "device_tokens"))
        .check(Expr::cust("state IN ('valid', 'revoked', 'forgotten')"))
        .check(Expr::cust("(state = 'valid') = (token_hash IS NOT NULL)"))
        .take()
}

/// A used code is deleted.
fn enrolment_codes(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("enrolment_codes")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(columns.key("device_id"))
        .col(text("code_hash"))
        .col(instant("created_at"))
        .col(instant("expires_at"))
        .primary_key(&mut primary_key("enrolment_codes_pkey", ["tenant_id", "id"]))
        .foreign_key(&mut owned_by(
            "enrolment_codes_device_fkey",
            ("enrolment_codes", ["tenant_id", "device_id"]),
            ("devices", ["tenant_id", "device_id"]),
        ))
        .take()
}

/// Deleted apps whose installs are not removed yet.
fn deleted_apps() -> TableCreateStatement {
    Table::create()
        .table("deleted_apps")
        .col(number("tenant_id"))
        .col(uuid("app_id"))
        .col(text("package_name"))
        .col(instant("deleted_at"))
        .primary_key(&mut primary_key("deleted_apps_pkey", ["tenant_id", "app_id"]))
        .take()
}
