//! Hint bus: publishes the changes of this node to the other nodes, and passes hints to the tasks that poll on this
//! node.
//!
//! A hint only makes a poll earlier. It may be lost, because every subscriber also polls at intervals. Changes of the
//! catalog and changes of pushes are independent, so that a burst of pushes delays no recall.

mod exchange;

use std::future::pending;
use std::sync::Arc;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast, mpsc, watch};

pub use self::exchange::{HintExchange, RunningHints};
use crate::storage::{Db, Hint};
use slipway_domain::catalog::ids::PushId;

/// Maximum number of pushes that a subscriber or the sender has not read yet.
const QUEUE: usize = 4_096;

/// Sender of hints to the subscribers on this node and to the other nodes.
#[derive(Clone)]
pub struct HintBus {
    local: LocalHints,
    /// `None` if hints between nodes are disabled.
    outgoing: Option<OutgoingHints>,
}

/// Hints for the subscribers on this node.
#[derive(Clone)]
struct LocalHints {
    catalog: watch::Sender<CatalogHints>,
    pushes: broadcast::Sender<PushHint>,
}

/// Counts of the hints of catalog changes. A subscriber compares them with those that it has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CatalogHints {
    changes: u64,
    losses: u64,
}

#[derive(Debug, Clone, Copy)]
enum PushHint {
    Changed(PushId),
    Lost,
}

/// Hints for the other nodes.
#[derive(Clone)]
struct OutgoingHints {
    catalog: Arc<Notify>,
    pushes: mpsc::Sender<PushId>,
}

/// Subscription of catalog changes of any tenant.
pub(crate) struct CatalogSubscription {
    hints: watch::Receiver<CatalogHints>,
    losses: u64,
}

/// Subscription of changes of pushes.
pub(crate) struct PushSubscription {
    hints: broadcast::Receiver<PushHint>,
    /// Maximum number of pushes in an event.
    limit: usize,
}

/// Event of a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HintEvent<T> {
    Changed(T),
    /// Hints may be lost: the connection to the database was established again, or the subscriber was too slow. The
    /// subscriber must compare everything.
    HintsLost,
}

impl HintBus {
    /// Creates a bus. Hints are exchanged with other nodes over `db`, unless that is disabled.
    pub fn new(db: Db, is_exchanging: bool) -> (Self, Option<HintExchange>) {
        let mut bus = Self::local();
        let exchange = is_exchanging.then(|| {
            let (sender, pushes) = mpsc::channel(QUEUE);
            let outgoing = OutgoingHints {
                catalog: Arc::default(),
                pushes: sender,
            };
            bus.outgoing = Some(outgoing.clone());
            HintExchange::new(db, bus.local.clone(), outgoing.catalog, pushes)
        });
        (bus, exchange)
    }

    /// Creates a bus without hints between nodes.
    pub fn local() -> Self {
        let local = LocalHints {
            catalog: watch::Sender::default(),
            pushes: broadcast::Sender::new(QUEUE),
        };
        Self {
            local,
            outgoing: None,
        }
    }

    pub(crate) fn subscribe_to_catalog(&self) -> CatalogSubscription {
        let hints = self.local.catalog.subscribe();
        let losses = hints.borrow().losses;
        CatalogSubscription { hints, losses }
    }

    /// Subscribes to changes of pushes, with up to `limit` pushes in an event.
    pub(crate) fn subscribe_to_pushes(&self, limit: usize) -> PushSubscription {
        PushSubscription {
            hints: self.local.pushes.subscribe(),
            limit,
        }
    }

    /// Notifies the subscribers on this node.
    pub(crate) fn notify_local(&self, hint: Hint) {
        self.local.notify(hint);
    }

    /// Notifies the subscribers on the other nodes. Must be called after the commit.
    pub(crate) fn publish(&self, hint: Hint) {
        let Some(outgoing) = &self.outgoing else { return };
        match hint {
            Hint::Catalog => outgoing.catalog.notify_one(),
            Hint::Push(push) => {
                // A push that does not fit is found by the polls of the other nodes.
                let _ = outgoing.pushes.try_send(push);
            }
        }
    }
}

impl LocalHints {
    fn notify(&self, hint: Hint) {
        match hint {
            Hint::Catalog => self.catalog.send_modify(|hints| hints.changes += 1),
            Hint::Push(push) => {
                // Without a subscriber, nothing has to be notified.
                let _ = self.pushes.send(PushHint::Changed(push));
            }
        }
    }

    /// Reports to every subscriber that hints may be lost.
    fn report_loss(&self) {
        self.catalog.send_modify(|hints| hints.losses += 1);
        // Without a subscriber, nothing has to be notified.
        let _ = self.pushes.send(PushHint::Lost);
    }
}

impl CatalogSubscription {
    /// Waits for the next event. May be cancelled without losing one.
    pub(crate) async fn next_event(&mut self) -> HintEvent<()> {
        if self.hints.changed().await.is_err() {
            // The bus is gone, so there are no further events.
            pending::<()>().await;
        }
        let losses = self.hints.borrow_and_update().losses;
        if std::mem::replace(&mut self.losses, losses) == losses {
            HintEvent::Changed(())
        } else {
            HintEvent::HintsLost
        }
    }
}

impl PushSubscription {
    /// Waits for the next event: pushes in the order of their hints. May be cancelled without losing one.
    pub(crate) async fn next_event(&mut self) -> HintEvent<Vec<PushId>> {
        match self.hints.recv().await {
            Ok(PushHint::Changed(push)) => self.drain(push),
            Ok(PushHint::Lost) | Err(RecvError::Lagged(_)) => HintEvent::HintsLost,
            Err(RecvError::Closed) => pending().await,
        }
    }

    /// Adds pushes whose hints have already arrived. Hints beyond the limit stay in the queue.
    fn drain(&mut self, first: PushId) -> HintEvent<Vec<PushId>> {
        let mut pushes = vec![first];
        while pushes.len() < self.limit {
            match self.hints.try_recv() {
                Ok(PushHint::Changed(push)) => pushes.push(push),
                Ok(PushHint::Lost) | Err(TryRecvError::Lagged(_)) => return HintEvent::HintsLost,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        HintEvent::Changed(pushes)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::random;

    /// Notifies this node of a number of pushes.
    fn notify(bus: &HintBus, count: usize) -> Vec<PushId> {
        let pushes: Vec<_> = (0..count).map(|_| random::id::<PushId>()).collect();
        for push in &pushes {
            bus.notify_local(Hint::Push(*push));
        }
        pushes
    }

    #[tokio::test]
    async fn a_subscriber_gets_pushes_together_up_to_its_limit() {
        let bus = HintBus::local();
        let mut subscription = bus.subscribe_to_pushes(2);
        let pushes = notify(&bus, 3);
        bus.notify_local(Hint::Catalog);
        for expected in [&pushes[..2], &pushes[2..]] {
            assert_eq!(
                subscription.next_event().await,
                HintEvent::Changed(expected.to_vec())
            );
        }
        assert_eq!(subscription.next_event().now_or_never(), None);
    }

    #[tokio::test]
    async fn catalog_changes_share_an_event() {
        let bus = HintBus::local();
        let mut subscription = bus.subscribe_to_catalog();
        bus.notify_local(Hint::Catalog);
        bus.notify_local(Hint::Catalog);
        assert_eq!(subscription.next_event().await, HintEvent::Changed(()));
        assert_eq!(subscription.next_event().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_slow_subscriber_learns_that_hints_are_lost() {
        let bus = HintBus::local();
        let mut subscription = bus.subscribe_to_pushes(9);
        notify(&bus, QUEUE + 1);
        assert_eq!(subscription.next_event().await, HintEvent::HintsLost);
    }

    #[tokio::test]
    async fn hints_that_are_lost_while_others_are_read_are_reported() {
        let bus = HintBus::local();
        let mut subscription = bus.subscribe_to_pushes(9);
        let first = notify(&bus, 1)[0];
        assert!(subscription.hints.recv().await.is_ok());
        notify(&bus, QUEUE + 1);
        assert_eq!(subscription.drain(first), HintEvent::HintsLost);
    }

    #[tokio::test]
    async fn a_burst_of_pushes_loses_no_catalog_change() {
        let bus = HintBus::local();
        let mut subscription = bus.subscribe_to_catalog();
        bus.notify_local(Hint::Catalog);
        notify(&bus, QUEUE * 2);
        assert_eq!(subscription.next_event().await, HintEvent::Changed(()));
    }

    #[tokio::test]
    async fn a_loss_is_reported_to_every_subscriber_once() {
        let bus = HintBus::local();
        let mut catalog = bus.subscribe_to_catalog();
        let mut pushes = bus.subscribe_to_pushes(9);
        notify(&bus, 1);
        bus.local.report_loss();
        bus.notify_local(Hint::Catalog);
        assert_eq!(pushes.next_event().await, HintEvent::HintsLost);
        assert_eq!(catalog.next_event().await, HintEvent::HintsLost);
        bus.notify_local(Hint::Catalog);
        assert_eq!(catalog.next_event().await, HintEvent::Changed(()));
    }
}
