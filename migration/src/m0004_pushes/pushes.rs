//! Pushes and their targets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{
    instant, key, nullable_instant, nullable_key, nullable_text, number, owned_by, primary_key, text, uuid,
};

pub(super) const NAMES: [&str; 3] = ["push_targets", "push_repeats", "pushes"];

/// Indexes as text, because both databases have the same syntax for conditions of partial indexes.
pub(super) const INDEXES: [&str; 6] = [
    "CREATE INDEX pushes_trace_id_idx ON pushes (tenant_id, trace_id, id) WHERE trace_id IS NOT NULL",
    "CREATE INDEX push_repeats_accepted_at_idx ON push_repeats (accepted_at)",
    // The push comes first, so that nodes find the targets of a notified push without its tenant.
    "CREATE UNIQUE INDEX push_targets_push_idx ON push_targets (push_id, tenant_id, device_id)",
    "CREATE INDEX push_targets_changed_at_idx ON push_targets (changed_at)",
    "CREATE INDEX push_targets_open_until_idx ON push_targets (open_until) WHERE open_until IS NOT NULL",
    "CREATE INDEX push_targets_mqtt_due_at_idx ON push_targets (mqtt_due_at) WHERE mqtt_due_at IS NOT NULL",
];

pub(super) fn tables(backend: DbBackend) -> [TableCreateStatement; 3] {
    [pushes(backend), push_repeats(backend), push_targets(backend)]
}

fn pushes(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("pushes")
        .col(number("tenant_id"))
        .col(uuid("id"))
        // Sender: `app_key:…`, `user:…` or `token:…`.
        .col(text("origin"))
        .col(nullable_key("trace_id", backend))
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
        .foreign_key(
            ForeignKey::create()
                .name("pushes_tenant_fkey")
                .from("pushes", "tenant_id")
                .to("tenants", "id"),
        )
        .take()
}

/// Recently accepted pushes, for the detection of repeats.
fn push_repeats(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("push_repeats")
        .col(number("tenant_id"))
        .col(key("origin", backend))
        .col(key("content_digest", backend))
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

fn push_targets(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("push_targets")
        .col(number("tenant_id"))
        .col(key("device_id", backend))
        // Number of the push to the device, counted from 1.
        .col(number("sequence"))
        .col(uuid("push_id"))
        .col(key("project_id", backend))
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
