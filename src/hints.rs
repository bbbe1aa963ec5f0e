//! Hint bus: announces the changes of this node to the other nodes, and passes hints to the tasks that poll on this
//! node.
//!
//! A hint only makes a poll earlier. It may be lost, because every subscriber also polls at intervals.

use std::future::pending;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::storage::{Db, Hint, Notification};
use crate::supervision::{Exit, Importance, Tasks};
use slipway_domain::catalog::ids::PushId;

/// Maximum number of hints that a subscriber or the sender has not read yet.
const QUEUE: usize = 4_096;
/// Maximum number of hints that are sent together, or that a subscriber gets together.
const AT_ONCE: usize = 2_000;
/// Commits within this time share a notification.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// Topic of the hint bus: the change that its hints report.
pub(crate) trait Topic: Sized {
    /// Returns the change that a hint reports, if it belongs to the topic.
    fn of(hint: Hint) -> Option<Self>;
}

/// Change of the catalog of any tenant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CatalogChange;

impl Topic for CatalogChange {
    fn of(hint: Hint) -> Option<Self> {
        matches!(hint, Hint::Catalog).then_some(Self)
    }
}

/// Change of a push.
impl Topic for PushId {
    fn of(hint: Hint) -> Option<Self> {
        match hint {
            Hint::Push(push) => Some(push),
            Hint::Catalog => None,
        }
    }
}

/// Sender of hints to the subscribers on this node and to the other nodes.
#[derive(Clone)]
pub struct HintBus {
    local: broadcast::Sender<Notification>,
    /// `None` if hints between nodes are disabled.
    announced: Option<mpsc::Sender<Hint>>,
}

/// Exchange of hints with the other nodes, not started.
pub struct HintExchange {
    db: Db,
    local: broadcast::Sender<Notification>,
    announced: mpsc::Receiver<Hint>,
}

/// Subscription of one topic.
pub(crate) struct Subscription<T> {
    notifications: broadcast::Receiver<Notification>,
    topic: PhantomData<fn() -> T>,
}

/// Event of a [`Subscription`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HintEvent<T> {
    /// Changes in the order of their hints. Empty if there were too many.
    Changes(Vec<T>),
    /// The connection to the database was established. Hints before it are lost.
    Reconnected,
}

impl HintBus {
    /// Creates a bus. Hints are exchanged with other nodes over `db`, unless that is disabled.
    pub fn new(db: Db, is_exchanging: bool) -> (Self, Option<HintExchange>) {
        let mut bus = Self::local();
        let exchange = is_exchanging.then(|| {
            let (sender, announced) = mpsc::channel(QUEUE);
            bus.announced = Some(sender);
            let local = bus.local.clone();
            HintExchange { db, local, announced }
        });
        (bus, exchange)
    }

    /// Creates a bus without hints between nodes.
    pub fn local() -> Self {
        Self {
            local: broadcast::Sender::new(QUEUE),
            announced: None,
        }
    }

    pub(crate) fn subscribe<T: Topic>(&self) -> Subscription<T> {
        Subscription {
            notifications: self.local.subscribe(),
            topic: PhantomData,
        }
    }

    /// Wakes the subscribers on this node.
    pub(crate) fn wake(&self, hint: Hint) {
        // Without a subscriber, nothing has to be woken.
        let _ = self.local.send(Notification::Changed(hint));
    }

    /// Wakes the subscribers on the other nodes. Must be called after the commit.
    pub(crate) fn announce(&self, hint: Hint) {
        if let Some(announced) = &self.announced {
            let _ = announced.try_send(hint);
        }
    }
}

impl<T: Topic> Subscription<T> {
    /// Waits for the next event. May be cancelled without losing one.
    pub(crate) async fn next(&mut self) -> HintEvent<T> {
        loop {
            match self.notifications.recv().await {
                Ok(Notification::Changed(hint)) => {
                    if let Some(change) = T::of(hint) {
                        return self.drain(change);
                    }
                }
                Ok(Notification::Reconnected) => return HintEvent::Reconnected,
                Err(RecvError::Lagged(_)) => return HintEvent::Changes(Vec::new()),
                Err(RecvError::Closed) => pending().await,
            }
        }
    }

    /// Adds the changes of the hints that have already arrived.
    fn drain(&mut self, first: T) -> HintEvent<T> {
        let mut changes = vec![first];
        while changes.len() < AT_ONCE {
            match self.notifications.try_recv() {
                Ok(Notification::Changed(hint)) => changes.extend(T::of(hint)),
                Ok(Notification::Reconnected) => return HintEvent::Reconnected,
                Err(_) => break,
            }
        }
        HintEvent::Changes(changes)
    }
}

impl HintExchange {
    /// Spawns the tasks that send hints to the other nodes and listen for theirs.
    pub fn spawn(self, tasks: &Tasks) -> [JoinHandle<()>; 2] {
        let Self { db, local, announced } = self;
        let importance = Importance::Auxiliary;
        [
            tasks.supervise(
                "hint_sender",
                importance,
                (db.clone(), announced),
                |(db, announced)| send(db, announced).boxed(),
            ),
            tasks.supervise("hint_listener", importance, (db, local), |(db, local)| {
                listen(db, local).boxed()
            }),
        ]
    }
}

/// Sends hints until dropped or until the bus is gone.
async fn send(db: &Db, announced: &mut mpsc::Receiver<Hint>) -> Exit {
    let mut hints = Vec::new();
    while announced.recv_many(&mut hints, AT_ONCE).await > 0 {
        if let Err(error) = db.notify(&hints).await {
            tracing::debug!(%error, "sending hints to the other nodes failed");
        }
        hints.clear();
        sleep(DEBOUNCE).await;
    }
    Exit::Finished
}

/// Listens for hints until dropped, and reconnects whenever the connection is lost. Each connection starts with
/// [`Notification::Reconnected`]. If the database has no hints, the function waits forever.
async fn listen(db: &Db, local: &broadcast::Sender<Notification>) {
    let mut backoff = Backoff::default();
    loop {
        match db.listen().await {
            Ok(None) => pending().await,
            Ok(Some(mut listener)) => {
                backoff.reset();
                let _ = local.send(Notification::Reconnected);
                while let Ok(notifications) = listener.next().await {
                    for notification in notifications {
                        let _ = local.send(notification);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "listening for hints failed"),
        }
        sleep(backoff.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[tokio::test]
    async fn a_subscriber_gets_the_hints_of_its_topic_together() {
        let bus = HintBus::local();
        let mut pushes = bus.subscribe::<PushId>();
        let ids = [random::id::<PushId>(), random::id::<PushId>()];
        bus.wake(Hint::Catalog);
        bus.wake(Hint::Push(ids[0]));
        bus.wake(Hint::Catalog);
        bus.wake(Hint::Push(ids[1]));
        assert_eq!(pushes.next().await, HintEvent::Changes(ids.to_vec()));
    }

    #[tokio::test]
    async fn a_subscriber_that_is_too_slow_learns_that_something_has_changed() {
        let bus = HintBus::local();
        let mut pushes = bus.subscribe::<PushId>();
        for _ in 0..=QUEUE {
            bus.wake(Hint::Push(random::id::<PushId>()));
        }
        assert_eq!(pushes.next().await, HintEvent::Changes(Vec::new()));
    }

    #[tokio::test]
    async fn a_new_connection_is_reported_to_every_topic() {
        let bus = HintBus::local();
        let mut pushes = bus.subscribe::<PushId>();
        bus.wake(Hint::Push(random::id::<PushId>()));
        let _ = bus.local.send(Notification::Reconnected);
        assert_eq!(pushes.next().await, HintEvent::Reconnected);
    }
}
