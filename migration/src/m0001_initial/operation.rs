//! Operational records: the audit log, responses for repeated requests, leases, settings and nodes.

use sea_orm_migration::prelude::*;

use super::columns::{
    Columns, flag, index_on, instant, nullable_number, nullable_small_number, nullable_text, primary_key,
    text, uuid,
};

pub(super) const NAMES: &[&str] = &[
    "audit_events",
    "idempotency_records",
    "leases",
    "settings",
    "nodes",
];

pub(super) fn tables(columns: &Columns) -> Vec<TableCreateStatement> {
    vec![
        audit_events(),
        idempotency_records(columns),
        leases(columns),
        settings(columns),
        nodes(),
    ]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index_on("audit_events", "audit_events_tenant_idx", ["tenant_id", "id"]),
        index_on(
            "idempotency_records",
            "idempotency_records_expires_at_idx",
            ["expires_at"],
        ),
    ]
}

/// Has no foreign keys, because the audit log outlives the objects that it describes.
fn audit_events() -> TableCreateStatement {
    Table::create()
        .table("audit_events")
        .col(uuid("id").primary_key())
        .col(nullable_number("tenant_id"))
        .col(instant("at"))
        .col(text("actor_key"))
        .col(text("actor_name"))
        .col(text("action"))
        .col(text("object_type"))
        .col(text("object_id"))
        .col(nullable_text("before"))
        .col(nullable_text("after"))
        .col(nullable_text("request_id"))
        .take()
}

fn idempotency_records(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("idempotency_records")
        .col(columns.key("caller"))
        .col(columns.key("method"))
        .col(columns.key("path"))
        .col(columns.key("key"))
        .col(text("body_hash"))
        .col(uuid("reservation"))
        .col(instant("reserved_until"))
        .col(nullable_small_number("status"))
        .col(nullable_text("answer"))
        .col(flag("shows_secret"))
        .col(nullable_text("object_id"))
        .col(instant("expires_at"))
        .primary_key(&mut primary_key(
            "idempotency_records_pkey",
            ["caller", "method", "path", "key"],
        ))
        .take()
}

fn leases(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("leases")
        .col(columns.key("name").primary_key())
        .col(text("holder"))
        .col(instant("expires_at"))
        .take()
}

fn settings(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("settings")
        .col(columns.key("name").primary_key())
        .col(text("value"))
        .take()
}

/// Running nodes, and the time of their last sign of life.
fn nodes() -> TableCreateStatement {
    Table::create()
        .table("nodes")
        .col(uuid("id").primary_key())
        .col(instant("seen_at"))
        .take()
}
