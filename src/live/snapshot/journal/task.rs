//! Background task that writes the journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::SnapshotError;
use super::log::Journal;
use crate::backoff::Backoff;

/// Interval between appends. A change is on disk shortly after this time.
const APPEND_EVERY: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

impl Journal {
    /// Appends changes periodically until the task is dropped.
    pub(in crate::live::snapshot) async fn run(self: &Arc<Self>) {
        let mut ticks = interval(APPEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::between(FIRST_RETRY, LONGEST_RETRY);
        loop {
            ticks.tick().await;
            let journal = self.clone();
            let appended = tokio::task::spawn_blocking(move || journal.append()).await;
            match appended.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into())) {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    count_failure(&error);
                    sleep(backoff.next()).await;
                }
            }
        }
    }
}

fn count_failure(error: &SnapshotError) {
    tracing::error!(
        %error,
        "writing the journal failed; a start without the database will use an older catalog"
    );
    metrics::counter!("slipway_snapshot_journal_failures_total").increment(1);
}
