//! Pushes and their targets.

use sea_orm_migration::prelude::*;

use super::columns::{
    Columns, index_on, instant, nullable_instant, nullable_text, number, of_tenant, owned_by, primary_key,
    text, uuid,
};

/// Tables, parents before children.
pub(super) const NAMES: &[&str] = &["pushes", "push_repeats", "push_targets"];

pub(super) const PARTIAL_INDEXES: &[&str] = &[
    "CREATE INDEX pushes_trace_id_idx ON pushes (tenant_id, trace_id, id) WHERE trace_id IS NOT NULL",
    "CREATE INDEX push_targets_open_until_idx ON push_targets (open_until) WHERE open_until IS NOT NULL",
    "CREATE INDEX push_targets_mqtt_due_at_idx ON push_targets (mqtt_due_at) WHERE mqtt_due_at IS NOT NULL",
];

pub(super) fn tables(columns: &Columns) -> Vec<TableCreateStatement> {
    vec![pushes(columns), push_repeats(columns), push_targets(columns)]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index_on("pushes", "pushes_expires_at_idx", ["expires_at"]),
        index_on("push_repeats", "push_repeats_accepted_at_idx", ["accepted_at"]),
        // The push comes first, so that nodes find the targets of a notified push without its tenant.
        index_on(
            "push_targets",
            "push_targets_push_idx",
            ["push_id", "tenant_id", "device_id"],
        )
        .unique()
        .take(),
        index_on("push_targets", "push_targets_changed_at_idx", ["changed_at"]),
    ]
}

fn pushes(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("pushes")
        .col(number("tenant_id"))
        .col(uuid("id"))
        // Sender: `app_key:…`, `user:…` or `token:…`.
        .col(text("origin"))
        .col(columns.nullable_key("trace_id"))
        .col(text("action"))
        .col(text("app_id"))
        .col(text("app_type"))
        .col(text("pack_url"))
        .col(nullable_text("source_url"))
        // The gateway's `alipay_context`, unchanged.
        .col(nullable_text("context"))
        .col(instant("created_at"))
        .col(instant("expires_at"))
        .primary_key(&mut primary_key("pushes_pkey", ["tenant_id", "id"]))
        .foreign_key(&mut of_tenant("pushes_tenant_fkey", "pushes"))
        .take()
}

/// Recently accepted pushes, for the detection of repeats.
fn push_repeats(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("push_repeats")
        .col(number("tenant_id"))
        .col(columns.key("origin"))
        .col(columns.key("content_digest"))
        .col(uuid("push_id"))
        .col(instant("accepted_at"))
        .primary_key(&mut primary_key(
            "push_repeats_pkey",
            ["tenant_id", "origin", "content_digest"],
        ))
        .foreign_key(&mut owned_by(
            "push_repeats_push_fkey",
            ("push_repeats", ["tenant_id", "push_id"]),
            ("pushes", ["tenant_id", "id"]),
        ))
        .take()
}

fn push_targets(columns: &Columns) -> TableCreateStatement {
    Table::create()
        .table("push_targets")
        .col(number("tenant_id"))
        .col(columns.key("device_id"))
        // Number of the push to the device, counted from 1.
        .col(number("sequence"))
        .col(uuid("push_id"))
        .col(columns.key("project_id"))
        .col(text("state"))
        // Time of expiry; null once the delivery has ended.
        .col(nullable_instant("open_until"))
        // Time of the next publication to the broker; null means never.
        .col(nullable_instant("mqtt_due_at"))
        // Channel of the last delivery: `events`, `poll` or `mqtt`.
        .col(nullable_text("channel"))
        .col(number("deliveries"))
        .col(instant("changed_at"))
        .col(nullable_instant("delivered_at"))
        .col(nullable_instant("received_at"))
        .col(nullable_instant("opened_at"))
        // Time at which it was applied, failed, expired or was withdrawn.
        .col(nullable_instant("ended_at"))
        // Detail reported by the device.
        .col(nullable_text("detail"))
        .primary_key(&mut primary_key(
            "push_targets_pkey",
            ["tenant_id", "device_id", "sequence"],
        ))
        .foreign_key(&mut owned_by(
            "push_targets_push_fkey",
            ("push_targets", ["tenant_id", "push_id"]),
            ("pushes", ["tenant_id", "id"]),
        ))
        .foreign_key(&mut owned_by(
            "push_targets_device_fkey",
            ("push_targets", ["tenant_id", "device_id"]),
            ("devices", ["tenant_id", "device_id"]),
        ))
        .check(Expr::cust(
            "state IN ('queued', 'delivered', 'received', 'opened', 'applied', 'failed', 'expired', 'withdrawn')",
        ))
        .check(Expr::cust("channel IN ('events', 'poll', 'mqtt')"))
        .take()
}
