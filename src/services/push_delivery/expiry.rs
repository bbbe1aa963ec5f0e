//! Expires overdue pushes. Every node does this, and nodes do not conflict.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::storage::Db;
use crate::storage::push_targets::expire_due;

const EVERY: Duration = Duration::from_secs(1);
/// Maximum number of targets that expire in one transaction.
const BATCH: u64 = 500;

/// Checks for overdue targets every second until the task is dropped.
pub(super) async fn run(db: &Db, clock: &dyn Clock) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let counter = metrics::counter!("slipway_push_expired_total");
    loop {
        ticks.tick().await;
        loop {
            match expire_due(db, clock.now(), BATCH).await {
                Ok(expired) => {
                    counter.increment(expired.len() as u64);
                    if (expired.len() as u64) < BATCH {
                        break;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot expire pushes now; expired pushes are not delivered anyway");
                    break;
                }
            }
        }
    }
}
