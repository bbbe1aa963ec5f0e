//! Removes data that would otherwise grow without bound.
//!
//! This covers idempotency records, ended sessions, old pushes and their repeat records, expired codes, stopped nodes
//! and installs of deleted apps. The audit is kept.
//!
//! One node at a time does this, under a lease.

use std::convert::Infallible;
use std::time::Duration;

use chrono::TimeDelta;

use super::{Context, ServiceError, rekey};
use crate::poller::{PollError, PollOutcome, Poller, PollingTask};
use crate::random;
use crate::storage::{device_installs, enrolment_codes, idempotency, leases, nodes, pushes, sessions};

/// Name of the task.
pub const NAME: &str = "housekeeping";
const LEASE: &str = "housekeeping";
const EVERY: Duration = Duration::from_mins(1);
/// Longer than the interval, so that the holder keeps the lease; also longer than any clock difference.
const LEASE_FOR: TimeDelta = TimeDelta::minutes(5);
/// Retention of repeat records of pushes. It exceeds their validity by more than any clock difference.
const REPEATS_FOR: TimeDelta = TimeDelta::hours(1);

/// Retention of nodes that have stopped.
const NODES_FOR: TimeDelta = TimeDelta::days(1);

/// Pushes removed by one statement, each with up to 1,000 targets. On SQLite other writers wait for it.
const PUSHES_AT_ONCE: u64 = 20;
/// Statements per round, so that the other tasks run often enough. The next round continues.
const PUSH_STATEMENTS: usize = 500;

/// Installs removed in one transaction.
const INSTALLS_AT_ONCE: u64 = 1_000;
const INSTALL_STATEMENTS: usize = 100;
/// Time after the deletion of an app during which a node that is behind may still record checks for it.
const RECORDED_FOR: TimeDelta = TimeDelta::minutes(5);

/// Result of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupReport {
    pub idempotency_records: u64,
    pub sessions: u64,
    /// Repeat records of pushes that are too old to be repeated.
    pub push_repeats: u64,
    pub pushes: u64,
    pub enrolment_codes: u64,
    pub nodes: u64,
    /// Installs of deleted apps.
    pub installs: u64,
}

/// Background task that removes old data, with its name in the lease.
struct Housekeeping<'a> {
    ctx: &'a Context,
    holder: String,
}

/// Removes old data every minute until the task is dropped.
pub async fn run(ctx: &Context) {
    let holder = random::uuid().to_string();
    Poller::new(NAME, EVERY)
        .with_longest_retry(EVERY)
        .run(&mut Housekeeping { ctx, holder })
        .await;
}

impl PollError for ServiceError {
    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}

impl PollingTask for Housekeeping<'_> {
    type Hint = Infallible;
    type Error = ServiceError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<PollOutcome, ServiceError> {
        if let Err(error) = rekey::observe(self.ctx).await {
            tracing::debug!(%error, "secrets under old keys could not be counted");
        }
        if let Some(removed) = clean(self.ctx, &self.holder).await? {
            tracing::debug!(?removed, "housekeeping");
        }
        Ok(PollOutcome::Polled)
    }
}

/// Runs one round. Returns `None` if another node holds the lease.
pub async fn clean(ctx: &Context, holder: &str) -> Result<Option<CleanupReport>, ServiceError> {
    let now = ctx.now();
    ctx.authentication().key_uses.evict_unused(now);
    if !leases::try_acquire(ctx.db(), LEASE, holder, now, LEASE_FOR).await? {
        return Ok(None);
    }
    Ok(Some(CleanupReport {
        idempotency_records: idempotency::delete_expired(ctx.db(), now).await?,
        sessions: sessions::delete_expired(ctx.db(), now).await?,
        push_repeats: pushes::delete_repeats_before(ctx.db(), now - REPEATS_FOR).await?,
        pushes: remove_old_pushes(ctx).await?,
        enrolment_codes: enrolment_codes::delete_expired(ctx.db(), now).await?,
        nodes: nodes::delete_seen_before(ctx.db(), now - NODES_FOR).await?,
        installs: remove_installs_of_deleted_apps(ctx).await?,
    }))
}

/// Removes installs of deleted apps, with a limit per round, so that the other tasks run often enough. The next round
/// continues.
async fn remove_installs_of_deleted_apps(ctx: &Context) -> Result<u64, ServiceError> {
    let mut removed = 0;
    for _ in 0..INSTALL_STATEMENTS {
        let since = ctx.now() - RECORDED_FOR;
        match device_installs::remove_of_deleted(ctx.db(), since, INSTALLS_AT_ONCE).await? {
            Some(count) => removed += count,
            None => break,
        }
    }
    Ok(removed)
}

/// Removes pushes whose retention after expiry has ended. Until then a device may acknowledge a push that it received.
async fn remove_old_pushes(ctx: &Context) -> Result<u64, ServiceError> {
    let Some(kept_for) = ctx.push_delivery().retention() else {
        return Ok(0);
    };
    let mut removed = 0;
    for _ in 0..PUSH_STATEMENTS {
        let count = pushes::delete_expired_before(ctx.db(), ctx.now() - kept_for, PUSHES_AT_ONCE).await?;
        removed += count;
        if count < PUSHES_AT_ONCE {
            break;
        }
    }
    Ok(removed)
}
