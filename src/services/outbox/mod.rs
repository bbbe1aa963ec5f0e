//! Outboxes: delivery of items to a receiver outside of the program, at least once. Due items are claimed, sent, and
//! sent again after growing waits. Items that could not be sent are released to the other nodes.
//!
//! This module knows neither the items nor the receiver. An outbox claims, sends and releases them.

mod retry;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

pub use retry::RetryPolicy;
pub(super) use retry::jitter;

use crate::poller::{PollOutcome, Poller, PollingTask};
use crate::storage::StorageError;
use crate::supervision::Exit;

/// Interval between claims. New items also cause one.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of items that are claimed and sent together.
const BATCH: u64 = 500;

/// Items of one kind on their way to a receiver.
pub(super) trait Outbox: Send + Sync {
    /// Name of the task, in the log and the metrics.
    const NAME: &'static str;

    /// Claimed item.
    type Item: Send;
    /// Key of an item.
    type Key: Send + Sync;

    /// Returns `true` while the receiver can be reached.
    fn is_connected(&self) -> bool;

    /// Waits until the receiver can be reached.
    fn wait_until_connected(&self) -> impl Future<Output = ()> + Send;

    /// Waits until an item may have become due.
    fn wait_for_item(&self) -> impl Future<Output = ()> + Send;

    /// Claims up to `limit` due items, and sets when each is due again. No other node gets them before that time, so a
    /// node that dies with its claim delays them by one wait.
    fn claim(
        &self,
        limit: u64,
    ) -> impl Future<Output = Result<ClaimedItems<Self::Item>, StorageError>> + Send;

    /// Sends an item and records the result.
    fn send(&self, item: Self::Item) -> impl Future<Output = SendResult<Self::Key>> + Send;

    /// Makes claimed items due immediately.
    fn release(&self, keys: &[Self::Key]) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// Result of a claim.
pub(super) struct ClaimedItems<T> {
    pub(super) items: Vec<T>,
    /// Number of items that cannot be read. They are no longer due, so that they delay no others.
    pub(super) set_aside: usize,
}

/// Result of sending an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendResult<K> {
    /// The item was sent or refused. Its wait is kept.
    Settled,
    /// The item was not sent, so any node may send it now.
    Unsent(K),
}

/// Task that delivers the items of an outbox.
struct OutboxPoller<'a, O> {
    outbox: &'a O,
    is_over: watch::Receiver<bool>,
}

/// Delivers items until `is_over` is set, and then finishes the current batch.
pub(super) async fn run<O: Outbox>(outbox: &O, is_over: &watch::Receiver<bool>) -> Exit {
    let mut over = is_over.clone();
    let stop = async move {
        // A dropped sender also means the end.
        let _ = over.wait_for(|is_over| *is_over).await;
    };
    let is_over = is_over.clone();
    Poller::new(O::NAME, POLL_INTERVAL)
        .run_until(stop, &mut OutboxPoller { outbox, is_over })
        .await;
    Exit::Finished
}

impl<O: Outbox> PollingTask for OutboxPoller<'_, O> {
    type Hint = ();
    type Error = StorageError;

    async fn next_hint(&mut self) {
        if self.outbox.is_connected() {
            self.outbox.wait_for_item().await;
        } else {
            self.outbox.wait_until_connected().await;
        }
    }

    async fn poll(&mut self, _: Option<()>) -> Result<PollOutcome, StorageError> {
        let mut outcome = PollOutcome::Skipped;
        while !*self.is_over.borrow() && self.outbox.is_connected() {
            outcome = PollOutcome::Polled;
            if self.deliver_batch().await? < BATCH {
                break;
            }
        }
        Ok(outcome)
    }
}

impl<O: Outbox> OutboxPoller<'_, O> {
    /// Claims and sends a batch of due items, and returns their number; 0 if none of them is settled. Released items are
    /// due at once, and the next poll continues with them.
    async fn deliver_batch(&self) -> Result<u64, StorageError> {
        let claim = self.outbox.claim(BATCH).await?;
        let count = u64::try_from(claim.items.len() + claim.set_aside).unwrap_or(BATCH);
        if claim.set_aside > 0 {
            let (outbox, items) = (O::NAME, claim.set_aside);
            tracing::error!(outbox, items, "some items cannot be read and are not delivered");
        }
        let claimed = claim.items.len();
        let results = join_all(claim.items.into_iter().map(|item| self.outbox.send(item))).await;
        let unsent: Vec<_> = results.into_iter().filter_map(SendResult::unsent).collect();
        if !unsent.is_empty()
            && let Err(error) = self.outbox.release(&unsent).await
        {
            // They become due again at the end of their wait.
            tracing::warn!(%error, outbox = O::NAME, "cannot release the claim on unsent items");
        }
        let has_progress = unsent.len() < claimed || claim.set_aside > 0;
        Ok(if has_progress { count } else { 0 })
    }
}

impl<K> SendResult<K> {
    fn unsent(self) -> Option<K> {
        match self {
            Self::Settled => None,
            Self::Unsent(key) => Some(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tokio::time::timeout;

    use super::*;

    /// An outbox of numbers, each due or not. Odd numbers cannot be sent the first time.
    struct Numbers {
        is_connected: watch::Sender<bool>,
        /// Number of claims that fail.
        failing_claims: AtomicUsize,
        claims: AtomicUsize,
        due: Mutex<BTreeMap<u64, bool>>,
        sent: Mutex<Vec<u64>>,
        refused: Mutex<Vec<u64>>,
    }

    fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Outbox for Numbers {
        const NAME: &'static str = "numbers";
        type Item = u64;
        type Key = u64;

        fn is_connected(&self) -> bool {
            *self.is_connected.borrow()
        }

        async fn wait_until_connected(&self) {
            let mut is_connected = self.is_connected.subscribe();
            is_connected.wait_for(|is_connected| *is_connected).await.unwrap();
        }

        async fn wait_for_item(&self) {
            pending::<()>().await;
        }

        async fn claim(&self, limit: u64) -> Result<ClaimedItems<u64>, StorageError> {
            self.claims.fetch_add(1, Ordering::Relaxed);
            if self.failing_claims.load(Ordering::Relaxed) > 0 {
                self.failing_claims.fetch_sub(1, Ordering::Relaxed);
                return Err(StorageError::BrokenReference);
            }
            let mut due = locked(&self.due);
            let limit = usize::try_from(limit).unwrap();
            let claimed = due.iter_mut().filter(|(_, is_due)| **is_due).take(limit);
            let items = claimed.map(|(number, is_due)| {
                *is_due = false;
                *number
            });
            Ok(ClaimedItems {
                items: items.collect(),
                set_aside: 0,
            })
        }

        async fn send(&self, number: u64) -> SendResult<u64> {
            let mut refused = locked(&self.refused);
            if number % 2 == 1 && !refused.contains(&number) {
                refused.push(number);
                return SendResult::Unsent(number);
            }
            locked(&self.sent).push(number);
            SendResult::Settled
        }

        async fn release(&self, keys: &[u64]) -> Result<(), StorageError> {
            locked(&self.due).extend(keys.iter().map(|number| (*number, true)));
            Ok(())
        }
    }

    fn due(numbers: u64) -> Numbers {
        Numbers {
            is_connected: watch::Sender::new(true),
            failing_claims: AtomicUsize::new(0),
            claims: AtomicUsize::new(0),
            due: Mutex::new((0..numbers).map(|number| (number, true)).collect()),
            sent: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Delivers for some intervals.
    async fn deliver(outbox: &Numbers) {
        let (_sender, is_over) = watch::channel(false);
        let delivering = timeout(POLL_INTERVAL * 9, run(outbox, &is_over));
        assert!(delivering.await.is_err(), "delivery ended");
    }

    #[tokio::test]
    async fn an_item_that_was_not_sent_is_released_and_sent_once() {
        let outbox = due(BATCH * 2);
        let is_over = watch::channel(false).1;
        let mut delivery = OutboxPoller {
            outbox: &outbox,
            is_over,
        };
        for _ in 0..3 {
            delivery.poll(None).await.unwrap();
        }
        let mut sent = locked(&outbox.sent).clone();
        sent.sort_unstable();
        assert_eq!(sent, (0..BATCH * 2).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nothing_is_claimed_after_the_end() {
        let outbox = due(1);
        let (_sender, is_over) = watch::channel(true);
        assert_eq!(run(&outbox, &is_over).await, Exit::Finished);
        assert!(locked(&outbox.sent).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_claimed_while_the_receiver_is_disconnected() {
        let outbox = due(2);
        outbox.is_connected.send_replace(false);
        deliver(&outbox).await;
        assert_eq!(outbox.claims.load(Ordering::Relaxed), 0);
        outbox.is_connected.send_replace(true);
        deliver(&outbox).await;
        assert_eq!(*locked(&outbox.sent), [0, 1]);
    }

    #[tokio::test]
    async fn a_poll_without_a_connection_is_skipped() {
        let outbox = due(1);
        outbox.is_connected.send_replace(false);
        let is_over = watch::channel(false).1;
        let mut delivery = OutboxPoller {
            outbox: &outbox,
            is_over,
        };
        assert_eq!(delivery.poll(None).await.unwrap(), PollOutcome::Skipped);
        outbox.is_connected.send_replace(true);
        assert_eq!(delivery.poll(None).await.unwrap(), PollOutcome::Polled);
    }

    #[tokio::test(start_paused = true)]
    async fn items_are_delivered_after_claims_that_failed() {
        let outbox = due(2);
        outbox.failing_claims.store(3, Ordering::Relaxed);
        deliver(&outbox).await;
        assert_eq!(*locked(&outbox.sent), [0, 1]);
        assert!(outbox.claims.load(Ordering::Relaxed) > 3);
    }
}
