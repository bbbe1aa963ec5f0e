//! Expires overdue pushes. Every node does this, and nodes do not conflict.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::poller::{Poller, PollingTask};
use crate::storage::push_targets::expire_due;
use crate::storage::{Db, StorageError};

const EVERY: Duration = Duration::from_secs(1);
/// Maximum number of targets that expire in one transaction.
const BATCH: u64 = 500;

/// Background task that expires overdue targets. Expired pushes are not delivered even while it fails.
pub(super) struct PushExpiry {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl PushExpiry {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Checks for overdue targets every second until the task is dropped.
    pub(super) async fn run(&mut self) {
        Poller::new("push_expiry", EVERY).run(self).await;
    }
}

impl PollingTask for PushExpiry {
    type Hint = Infallible;
    type Error = StorageError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<(), StorageError> {
        loop {
            let expired = expire_due(&self.db, self.clock.now(), BATCH).await?.len() as u64;
            metrics::counter!("slipway_push_expired_total").increment(expired);
            if expired < BATCH {
                return Ok(());
            }
        }
    }
}
