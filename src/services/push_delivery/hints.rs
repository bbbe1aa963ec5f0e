//! Notifications between nodes that name pushes: sent after commits of this node, received from other nodes. A lost
//! notification is harmless, because every node polls every second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::live::receive_hints;
use crate::storage::{Db, Notification, NotificationChannel, parse_push_ids};
use crate::supervision::Exit;
use slipway_domain::catalog::ids::PushId;

/// Commits within this time share a notification.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Number of pushes in a batch at which it stops draining the queue.
const AT_ONCE: usize = 2_000;

/// Notifies other nodes of this node's pushes.
pub(super) struct HintSender {
    db: Db,
    own: mpsc::Receiver<Vec<PushId>>,
}

/// Receives notifications of pushes from other nodes.
pub(super) struct HintListener {
    db: Db,
    notifications: mpsc::Sender<Vec<PushId>>,
    reconnected: Arc<Notify>,
}

impl HintSender {
    /// `own` receives the pushes to announce to other nodes.
    pub(super) fn new(db: Db, own: mpsc::Receiver<Vec<PushId>>) -> Self {
        Self { db, own }
    }

    /// Sends notifications until it is dropped or its queue is closed.
    pub(super) async fn run(&mut self) -> Exit {
        while let Some(mut pushes) = self.own.recv().await {
            tokio::time::sleep(DEBOUNCE).await;
            while pushes.len() < AT_ONCE
                && let Ok(more) = self.own.try_recv()
            {
                pushes.extend(more);
            }
            if let Err(error) = self.db.notify_pushes(&pushes).await {
                tracing::debug!(%error, "cannot notify other nodes of pushes");
            }
        }
        Exit::Finished
    }
}

impl HintListener {
    /// `notifications` gets the announced pushes. `reconnected` is notified when notifications may have been lost.
    pub(super) fn new(db: Db, notifications: mpsc::Sender<Vec<PushId>>, reconnected: Arc<Notify>) -> Self {
        Self {
            db,
            notifications,
            reconnected,
        }
    }

    /// Listens until it is dropped.
    pub(super) async fn run(&self) {
        receive_hints(&self.db, NotificationChannel::Pushes, |hint| match hint {
            Notification::Changed(named) => {
                // The next poll finds pushes that do not fit.
                let _ = self.notifications.try_send(parse_push_ids(&named).collect());
            }
            Notification::Reconnected => self.reconnected.notify_one(),
        })
        .await;
    }
}
