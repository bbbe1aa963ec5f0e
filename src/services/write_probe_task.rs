//! Write probes: a small write every few seconds proves that this node can write. It also shows other nodes that it
//! runs.

use std::time::Duration;

use super::Context;
use crate::storage::{Backend, Cause, StorageError, check_writable};

/// Interval while writes work. Other nodes regard a node as running for 30 seconds after its last probe.
const EVERY: Duration = Duration::from_secs(5);
/// Delay after a failed probe or a failed write, and before a lock is regarded as permanent.
const SOON: Duration = Duration::from_secs(1);
/// Longer than any single wait of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);

/// Probes until the task is dropped.
pub async fn run(ctx: &Context) {
    loop {
        let result = probe(ctx).await;
        ctx.node().write_health.record(&result);
        let pause = if result.is_ok() { EVERY } else { SOON };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.db().wait_for_failed_write() => tokio::time::sleep(SOON).await,
        }
    }
}

/// Probes once, and again after a second if a PostgreSQL table is locked. A migration holds such locks only briefly.
async fn probe(ctx: &Context) -> Result<(), StorageError> {
    let result = probe_once(ctx).await;
    match &result {
        Err(StorageError::Unavailable(unavailability))
            if unavailability.cause() == Cause::Locked && ctx.db().backend() == Backend::Postgres =>
        {
            tokio::time::sleep(SOON).await;
            probe_once(ctx).await
        }
        _ => result,
    }
}

async fn probe_once(ctx: &Context) -> Result<(), StorageError> {
    let probe = check_writable(ctx.db(), ctx.node().id, ctx.now());
    let answer = tokio::time::timeout(PROBE_TIMEOUT, probe).await;
    answer.unwrap_or_else(|_| Err(StorageError::no_answer(PROBE_TIMEOUT)))
}
