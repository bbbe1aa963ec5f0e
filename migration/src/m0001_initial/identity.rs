//! Principals: people with their sessions, and the keys and tokens of programs and devices.

use sea_orm_migration::prelude::*;

use super::columns::{
    Columns, flag, index_on, instant, nullable_date, nullable_instant, nullable_number, nullable_text,
    number, of_tenant, owned_by, primary_key, text, unique_key, uuid,
};

/// Tables, parents before children.
pub(super) const NAMES: &[&str] = &[
    "users",
    "sessions",
    "platform_tokens",
    "api_tokens",
    "device_keys",
    "app_keys",
];

pub(super) fn tables(columns: &Columns) -> Vec<TableCreateStatement> {
    vec![
        users(columns),
        sessions(),
        platform_tokens(columns),
        api_tokens(columns),
        device_keys(columns),
        app_keys(columns),
    ]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index_on("users", "users_tenant_idx", ["tenant_id", "id"]),
        index_on("sessions", "sessions_user_idx", ["user_id"]),
        index_on("sessions", "sessions_expires_at_idx", ["expires_at"]),
    ]
}

/// A user without a tenant administers the installation.
fn users(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(nullable_number("tenant_id"))
        .col(columns.key("username"))
        .col(text("password_hash"))
        .col(text("role"))
        .col(flag("enabled"))
        .col(text("etag"))
        .col(instant("created_at"))
        .col(instant("updated_at"))
        .index(&mut unique_key("users_username_key", ["username"]))
        .foreign_key(&mut of_tenant("users_tenant_fkey", "users"))
        .take()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        // Counts the session's refresh tokens from 1.
        .col(number("generation").default(1).take())
        // JSON list of refreshes within the last seconds.
        .col(text("recent_refreshes").default("[]").take())
        // Network that the session was used from last.
        .col(nullable_text("network"))
        .col(instant("created_at"))
        .col(instant("expires_at"))
        .foreign_key(&mut owned_by(
            "sessions_user_fkey",
            ("sessions", ["user_id"]),
            ("users", ["id"]),
        ))
        .take()
}

/// Tokens of pipelines that administer the installation. Tokens of tenants have the tenant in their primary key.
fn platform_tokens(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("platform_tokens")
        .col(uuid("id").primary_key())
        .col(text("name"))
        .col(columns.key("secret_hash"))
        .col(nullable_text("created_by"))
        .col(nullable_instant("expires_at"))
        .col(nullable_date("last_used_on"))
        .col(text("etag"))
        .col(instant("created_at"))
        .index(&mut unique_key(
            "platform_tokens_secret_hash_key",
            ["secret_hash"],
        ))
        .take()
}

/// A token contains no id, so it is found by its hash. `created_by` is the name of the creator at that time.
fn api_tokens(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("api_tokens")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(text("name"))
        .col(text("role"))
        .col(columns.key("secret_hash"))
        .col(nullable_text("created_by"))
        .col(nullable_instant("expires_at"))
        .col(nullable_date("last_used_on"))
        .col(text("etag"))
        .col(instant("created_at"))
        .primary_key(&mut primary_key("api_tokens_pkey", ["tenant_id", "id"]))
        .index(&mut unique_key("api_tokens_secret_hash_key", ["secret_hash"]))
        .foreign_key(&mut of_tenant("api_tokens_tenant_fkey", "api_tokens"))
        .take()
}

fn device_keys(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("device_keys")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(text("name"))
        .col(columns.key("secret_hash"))
        .col(nullable_text("created_by"))
        .col(nullable_instant("expires_at"))
        .col(nullable_date("last_used_on"))
        .col(text("etag"))
        .col(instant("created_at"))
        .primary_key(&mut primary_key("device_keys_pkey", ["tenant_id", "id"]))
        .index(&mut unique_key("device_keys_secret_hash_key", ["secret_hash"]))
        .foreign_key(&mut of_tenant("device_keys_tenant_fkey", "device_keys"))
        .take()
}

/// The secret is sealed instead of hashed, because it verifies signatures. `sealing_key_id` names the key that opens
/// it.
fn app_keys(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("app_keys")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(text("name"))
        .col(text("role"))
        .col(columns.key("app_key"))
        .col(text("secret_sealed"))
        .col(text("sealing_key_id"))
        // The second secret is valid too, so that one can be replaced while devices still sign with the other.
        .col(nullable_text("previous_secret_sealed"))
        .col(nullable_text("previous_sealing_key_id"))
        .col(nullable_text("created_by"))
        .col(nullable_instant("expires_at"))
        .col(nullable_date("last_used_on"))
        .col(text("etag"))
        .col(instant("created_at"))
        .primary_key(&mut primary_key("app_keys_pkey", ["tenant_id", "id"]))
        .index(&mut unique_key("app_keys_app_key_key", ["app_key"]))
        .foreign_key(&mut of_tenant("app_keys_tenant_fkey", "app_keys"))
        .take()
}
