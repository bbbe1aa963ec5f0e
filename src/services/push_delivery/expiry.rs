//! Ends pushes whose time has run out. Every node does so, and none minds that another was faster.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::storage::Db;
use crate::storage::push_targets::expire_due;

const EVERY: Duration = Duration::from_secs(1);
/// Targets that are ended in one transaction.
const BATCH: u64 = 500;

/// Looks each second until the task is dropped.
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
                    tracing::debug!(%error, "pushes cannot be ended now; they are no more offered anyway");
                    break;
                }
            }
        }
    }
}
