//! Change notifications (hints) between nodes: sent after this node's commits, received from the other nodes.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::storage::{Db, Notification, NotificationChannel};

/// Commits within this time share one hint.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// Signals between the hint tasks and the catalog sync.
#[derive(Default)]
pub(super) struct Signals {
    /// Requests an immediate poll, because something may have changed.
    pub(super) poll_now: Notify,
    /// Requests a comparison of every tenant, because hints were lost.
    pub(super) compare_all: AtomicBool,
    /// Reports a commit on this node.
    pub(super) committed: Notify,
}

/// Sends hints until dropped. A hint that cannot be sent is harmless, because the other nodes poll.
pub(super) async fn send(db: &Db, signals: &Signals) {
    loop {
        signals.committed.notified().await;
        if let Err(error) = db.notify_catalog().await {
            tracing::debug!(%error, "sending a change notification failed");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Receives catalog hints until dropped.
pub(super) async fn receive(db: &Db, signals: &Signals) {
    receive_all(db, NotificationChannel::Catalog, |hint| {
        if hint == Notification::Reconnected {
            signals.compare_all.store(true, Ordering::Relaxed);
        }
        signals.poll_now.notify_one();
    })
    .await;
}

/// Receives every hint of a channel until dropped, and reconnects whenever the connection is lost.
///
/// Each connection starts with [`Notification::Reconnected`]. If the database has no hints, the function waits forever.
pub(crate) async fn receive_all(
    db: &Db,
    channel: NotificationChannel,
    mut on_hint: impl FnMut(Notification),
) {
    let mut backoff = Backoff::default();
    loop {
        match db.listen(channel).await {
            Ok(None) => pending().await,
            Ok(Some(mut hints)) => {
                backoff = Backoff::default();
                on_hint(Notification::Reconnected);
                while let Ok(hint) = hints.next().await {
                    on_hint(hint);
                }
            }
            Err(error) => tracing::debug!(%error, ?channel, "listening for change notifications failed"),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
