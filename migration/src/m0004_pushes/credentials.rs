//! Credentials of devices, and the nodes that devices are connected to.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{instant, key, nullable_text, number, owned_by, primary_key, text, uuid};

pub(super) const NAMES: [&str; 3] = ["nodes", "enrolment_codes", "device_tokens"];

pub(super) const INDEXES: [&str; 2] = [
    "CREATE INDEX enrolment_codes_device_idx ON enrolment_codes (tenant_id, device_id)",
    // Nodes track only tokens that were replaced.
    "CREATE INDEX device_tokens_replaced_idx ON device_tokens (issued_at) WHERE generation > 1",
];

pub(super) fn tables(backend: DbBackend) -> [TableCreateStatement; 3] {
    [device_tokens(backend), enrolment_codes(backend), nodes()]
}

/// A row outlives its device, because an old token must stay invalid.
fn device_tokens(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("device_tokens")
        .col(number("tenant_id"))
        .col(key("device_id", backend))
        // Number of the device's tokens and revocations, counted from 1; only the newest token is valid.
        .col(number("generation"))
        .col(text("state").default("valid").take())
        // Null without a valid token.
        .col(nullable_text("token_hash"))
        .col(instant("issued_at"))
        .primary_key(&mut primary_key("device_tokens_pkey", ["tenant_id", "device_id"]))
        .foreign_key(
            ForeignKey::create()
                .name("device_tokens_tenant_fkey")
                .from("device_tokens", "tenant_id")
                .to("tenants", "id"),
        )
        .check(Expr::cust("state IN ('valid', 'revoked', 'forgotten')"))
        .check(Expr::cust("(state = 'valid') = (token_hash IS NOT NULL)"))
        .take()
}

/// A used code is deleted.
fn enrolment_codes(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("enrolment_codes")
        .col(number("tenant_id"))
        .col(uuid("id"))
        .col(key("device_id", backend))
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

fn nodes() -> TableCreateStatement {
    Table::create()
        .table("nodes")
        .col(uuid("id").primary_key().take())
        .col(instant("seen_at"))
        .take()
}
