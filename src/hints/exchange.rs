//! Exchange of hints with the other nodes.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::LocalHints;
use crate::backoff::Backoff;
use crate::storage::{Db, Hint, Notification, NotificationListener, StorageError};
use crate::supervision::{Exit, Importance, Tasks};
use slipway_domain::catalog::ids::PushId;

/// Maximum number of pushes that are sent together.
const PUSHES_AT_ONCE: usize = 2_000;
/// Commits within this time share a notification.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Time limit for sending the last hints at a stop.
const SEND_LAST_WITHIN: Duration = Duration::from_secs(1);

/// Exchange of hints with the other nodes, not started.
pub struct HintExchange {
    db: Db,
    local: LocalHints,
    outgoing: OutgoingReceiver,
}

/// Exchange of hints, started.
pub struct RunningHints {
    is_over: watch::Sender<bool>,
    sender: JoinHandle<()>,
    listener: JoinHandle<()>,
}

/// Hints for the other nodes. Those of an interrupted send are sent again.
struct OutgoingReceiver {
    catalog: CatalogReceiver,
    pushes: PushReceiver,
}

struct CatalogReceiver {
    changed: Arc<Notify>,
    is_unsent: bool,
}

struct PushReceiver {
    queue: mpsc::Receiver<PushId>,
    unsent: Vec<PushId>,
}

/// Connection to the other nodes.
trait Nodes: Clone + Send + Sync + 'static {
    type Listener: HintListener;

    fn notify(&self, hints: &[Hint]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Starts a listener; `None` if there are no other nodes.
    fn listen(&self) -> impl Future<Output = Result<Option<Self::Listener>, StorageError>> + Send;
}

/// Receiver of hints from the other nodes.
trait HintListener: Send {
    /// Waits for the next hints. Fails if a lost connection cannot be restored.
    fn next_notifications(&mut self) -> impl Future<Output = Result<Vec<Notification>, StorageError>> + Send;
}

impl Nodes for Db {
    type Listener = NotificationListener;

    async fn notify(&self, hints: &[Hint]) -> Result<(), StorageError> {
        Self::notify(self, hints).await
    }

    async fn listen(&self) -> Result<Option<NotificationListener>, StorageError> {
        Self::listen(self).await
    }
}

impl HintListener for NotificationListener {
    async fn next_notifications(&mut self) -> Result<Vec<Notification>, StorageError> {
        self.next().await
    }
}

impl HintExchange {
    pub(super) fn new(
        db: Db,
        local: LocalHints,
        catalog: Arc<Notify>,
        pushes: mpsc::Receiver<PushId>,
    ) -> Self {
        Self {
            db,
            local,
            outgoing: OutgoingReceiver::new(catalog, pushes),
        }
    }

    /// Spawns the tasks that send hints to the other nodes and listen for theirs.
    pub fn spawn(self, tasks: &Tasks) -> RunningHints {
        let (is_over, over) = watch::channel(false);
        let Self { db, local, outgoing } = self;
        let importance = Importance::Auxiliary;
        RunningHints {
            is_over,
            sender: tasks.supervise(
                "hint_sender",
                importance,
                (db.clone(), outgoing, over),
                |(db, outgoing, over)| send_until_over(db, outgoing, over).boxed(),
            ),
            listener: tasks.supervise("hint_listener", importance, (db, local), |(db, local)| {
                listen(db, local).boxed()
            }),
        }
    }
}

impl RunningHints {
    /// Sends the hints that are queued, within a time limit, and ends the exchange.
    pub async fn finish(mut self) {
        self.listener.abort();
        self.is_over.send_replace(true);
        if timeout(SEND_LAST_WITHIN, &mut self.sender).await.is_err() {
            self.sender.abort();
            tracing::debug!("the last hints were not sent; the other nodes find the changes by polling");
        }
    }
}

impl OutgoingReceiver {
    fn new(changed: Arc<Notify>, queue: mpsc::Receiver<PushId>) -> Self {
        Self {
            catalog: CatalogReceiver {
                changed,
                is_unsent: false,
            },
            pushes: PushReceiver {
                queue,
                unsent: Vec::new(),
            },
        }
    }
}

impl CatalogReceiver {
    async fn send_all(&mut self, nodes: &impl Nodes) {
        loop {
            self.changed.notified().await;
            self.is_unsent = true;
            self.send(nodes).await;
            sleep(DEBOUNCE).await;
        }
    }

    async fn send_queued(&mut self, nodes: &impl Nodes) {
        self.is_unsent |= self.changed.notified().now_or_never().is_some();
        self.send(nodes).await;
    }

    async fn send(&mut self, nodes: &impl Nodes) {
        if self.is_unsent {
            notify(nodes, &[Hint::Catalog]).await;
            self.is_unsent = false;
        }
    }
}

impl PushReceiver {
    async fn send_all(&mut self, nodes: &impl Nodes) {
        while self.queue.recv_many(&mut self.unsent, PUSHES_AT_ONCE).await > 0 {
            self.send(nodes).await;
            sleep(DEBOUNCE).await;
        }
        // The bus is gone.
        pending::<()>().await;
    }

    async fn send_queued(&mut self, nodes: &impl Nodes) {
        while let Ok(push) = self.queue.try_recv() {
            self.unsent.push(push);
        }
        self.send(nodes).await;
    }

    async fn send(&mut self, nodes: &impl Nodes) {
        if !self.unsent.is_empty() {
            let hints: Vec<_> = self.unsent.iter().copied().map(Hint::Push).collect();
            notify(nodes, &hints).await;
            self.unsent.clear();
        }
    }
}

/// Sends hints until `over` is set, including those that are queued then.
async fn send_until_over(
    nodes: &impl Nodes,
    outgoing: &mut OutgoingReceiver,
    over: &mut watch::Receiver<bool>,
) -> Exit {
    let OutgoingReceiver { catalog, pushes } = outgoing;
    tokio::select! {
        biased;
        // A dropped sender also means the end.
        _ = over.wait_for(|is_over| *is_over) => {}
        // Two loops, because a catalog change must not wait for pushes.
        _ = join(catalog.send_all(nodes), pushes.send_all(nodes)) => {}
    }
    catalog.send_queued(nodes).await;
    pushes.send_queued(nodes).await;
    Exit::Finished
}

async fn notify(nodes: &impl Nodes, hints: &[Hint]) {
    if let Err(error) = nodes.notify(hints).await {
        tracing::debug!(%error, "sending hints to the other nodes failed");
    }
}

/// Listens for hints until dropped, and reconnects whenever the connection is lost. Hints may be lost before each
/// connection. If the database has no hints, the function waits forever.
async fn listen(nodes: &impl Nodes, local: &LocalHints) {
    let mut backoff = Backoff::default();
    loop {
        match nodes.listen().await {
            Ok(None) => pending().await,
            Ok(Some(mut listener)) => {
                backoff.reset();
                local.report_loss();
                while let Ok(notifications) = listener.next_notifications().await {
                    for notification in notifications {
                        match notification {
                            Notification::Changed(hint) => local.notify(hint),
                            Notification::Reconnected => local.report_loss(),
                        }
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
    use std::collections::VecDeque;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::hints::{HintBus, HintEvent, OutgoingHints};
    use crate::random;

    /// Nodes that record the hints sent to them. Each connection yields notifications and then breaks.
    #[derive(Clone, Default)]
    struct FakeNodes {
        sent: Arc<Mutex<Vec<Vec<Hint>>>>,
        refuses_catalog: bool,
        connections: Arc<Mutex<VecDeque<FakeListener>>>,
    }

    struct FakeListener(VecDeque<Notification>);

    impl Nodes for FakeNodes {
        type Listener = FakeListener;

        async fn notify(&self, hints: &[Hint]) -> Result<(), StorageError> {
            if self.refuses_catalog && hints.contains(&Hint::Catalog) {
                return Err(StorageError::BrokenReference);
            }
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push(hints.to_vec());
            Ok(())
        }

        async fn listen(&self) -> Result<Option<FakeListener>, StorageError> {
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(connections.pop_front())
        }
    }

    impl HintListener for FakeListener {
        async fn next_notifications(&mut self) -> Result<Vec<Notification>, StorageError> {
            let notification = self.0.pop_front().ok_or(StorageError::BrokenReference)?;
            Ok(vec![notification])
        }
    }

    fn exchanging() -> (HintBus, OutgoingReceiver) {
        let (sender, queue) = mpsc::channel(9);
        let catalog = Arc::<Notify>::default();
        let mut bus = HintBus::local();
        bus.outgoing = Some(OutgoingHints {
            catalog: catalog.clone(),
            pushes: sender,
        });
        (bus, OutgoingReceiver::new(catalog, queue))
    }

    /// Sends the hints of two pushes and of three changes of the catalog, and returns those that arrived.
    async fn send_hints(nodes: FakeNodes, is_over: bool) -> Vec<Vec<Hint>> {
        let (bus, mut outgoing) = exchanging();
        for push in [1, 2].map(|_| random::id::<PushId>()) {
            bus.publish(Hint::Catalog);
            bus.publish(Hint::Push(push));
        }
        bus.publish(Hint::Catalog);
        let (_sender, mut over) = watch::channel(is_over);
        let sending = send_until_over(&nodes, &mut outgoing, &mut over);
        let ended = timeout(DEBOUNCE * 9, sending).await;
        assert_eq!(ended.is_ok(), is_over);
        let mut sent = nodes.sent.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sent)
    }

    #[tokio::test(start_paused = true)]
    async fn hints_that_are_queued_together_share_a_notification() {
        for is_over in [false, true] {
            let sent = send_hints(FakeNodes::default(), is_over).await;
            assert_eq!(sent.len(), 2, "{sent:?}");
            assert_eq!(sent[0], [Hint::Catalog]);
            assert_eq!(sent[1].len(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pushes_are_sent_although_sending_a_catalog_change_fails() {
        let nodes = FakeNodes {
            refuses_catalog: true,
            ..FakeNodes::default()
        };
        let sent = send_hints(nodes, false).await;
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn every_connection_reports_that_hints_may_be_lost() {
        let push = random::id::<PushId>();
        let bus = HintBus::local();
        let (mut catalog, mut pushes) = (bus.subscribe_to_catalog(), bus.subscribe_to_pushes(1));
        let nodes = FakeNodes::default();
        let notifications = [
            Notification::Changed(Hint::Push(push)),
            Notification::Changed(Hint::Catalog),
        ];
        nodes.connections.lock().unwrap().extend([
            FakeListener(VecDeque::from(notifications)),
            FakeListener(VecDeque::new()),
        ]);
        let listening = timeout(Duration::from_hours(1), listen(&nodes, &bus.local));
        assert!(listening.await.is_err(), "listening never ends");
        for expected in [
            HintEvent::HintsLost,
            HintEvent::Changed(vec![push]),
            HintEvent::HintsLost,
        ] {
            assert_eq!(pushes.next_event().await, expected);
        }
        assert_eq!(catalog.next_event().await, HintEvent::HintsLost);
        assert_eq!(catalog.next_event().now_or_never(), None);
    }
}
