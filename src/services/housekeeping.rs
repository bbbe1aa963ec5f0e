//! Removes what would grow for ever: idempotency records, ended sessions, what tells repeated pushes, expired codes,
//! nodes that are gone, quiet counters of attempts. One node at a time does it, by a lease. The audit is kept.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::storage::{enrolment_codes, idempotency, leases, nodes, pushes, sessions};

const LEASE: &str = "housekeeping";
const EVERY: Duration = Duration::from_mins(1);
/// Longer than the interval, so that the holder keeps the lease, and above any difference between clocks.
const LEASE_FOR: TimeDelta = TimeDelta::minutes(5);
/// How long what tells repeated pushes is kept: longer than it counts, by more than any difference between clocks.
const REPEATS_FOR: TimeDelta = TimeDelta::hours(1);

/// How long a node that is gone is remembered.
const NODES_FOR: TimeDelta = TimeDelta::days(1);

/// What one round removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub idempotency_records: u64,
    pub sessions: u64,
    /// What told repeats of pushes that are too old to be repeated.
    pub push_repeats: u64,
    pub enrolment_codes: u64,
    pub nodes: u64,
}

/// Cleans every minute until the task is dropped.
pub async fn run(ctx: Arc<Context>) {
    let holder = Uuid::new_v4().to_string();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match clean(&ctx, &holder).await {
            Ok(Some(removed)) => tracing::debug!(?removed, "housekeeping"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "housekeeping failed; it is tried again in a minute"),
        }
    }
}

/// One round; `None` when another node holds the lease.
pub async fn clean(ctx: &Context, holder: &str) -> Result<Option<Removed>, ServiceError> {
    ctx.login_attempts.forget_quiet();
    ctx.call_limits.forget_quiet();
    ctx.enrolment_limits.forget_quiet();
    let now = ctx.now();
    if !leases::try_take(&ctx.db, LEASE, holder, now, LEASE_FOR).await? {
        return Ok(None);
    }
    Ok(Some(Removed {
        idempotency_records: idempotency::delete_expired(&ctx.db, now).await?,
        sessions: sessions::delete_expired(&ctx.db, now).await?,
        push_repeats: pushes::delete_repeatable_before(&ctx.db, now - REPEATS_FOR).await?,
        enrolment_codes: enrolment_codes::delete_expired(&ctx.db, now).await?,
        nodes: nodes::delete_seen_before(&ctx.db, now - NODES_FOR).await?,
    }))
}
