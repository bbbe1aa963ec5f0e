//! Hints that something changed: sent after this node's own commits, heard from the other nodes.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::storage::{Db, Hint, HintChannel};

/// Commits within so short a time share a hint.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// What the tasks of this file and the follower tell one another.
#[derive(Default)]
pub(super) struct Signals {
    /// Something may have changed: look now.
    pub(super) look: Notify,
    /// Hints were lost: compare every tenant.
    pub(super) compare_all: AtomicBool,
    /// This node has committed something.
    pub(super) committed: Notify,
}

/// Sends hints until it is dropped. One that cannot be sent is not missed: the others poll.
pub(super) async fn send(db: &Db, signals: &Signals) {
    loop {
        signals.committed.notified().await;
        if let Err(error) = db.hint().await {
            tracing::debug!(%error, "a hint could not be sent");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Hears hints until it is dropped.
pub(super) async fn hear(db: &Db, signals: &Signals) {
    hear_all(db, HintChannel::Catalog, |hint| {
        if hint == Hint::Reconnected {
            signals.compare_all.store(true, Ordering::Relaxed);
        }
        signals.look.notify_one();
    })
    .await;
}

/// Hears every hint of a channel until it is dropped, on a connection that is made again whenever it is lost;
/// [`Hint::Reconnected`] comes first. A database without hints is never heard.
pub(crate) async fn hear_all(db: &Db, channel: HintChannel, mut take: impl FnMut(Hint)) {
    let mut backoff = Backoff::default();
    loop {
        match db.listen(channel).await {
            Ok(None) => pending().await,
            Ok(Some(mut hints)) => {
                backoff = Backoff::default();
                take(Hint::Reconnected);
                while let Ok(hint) = hints.next().await {
                    take(hint);
                }
            }
            Err(error) => tracing::debug!(%error, ?channel, "the database cannot be listened to"),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
