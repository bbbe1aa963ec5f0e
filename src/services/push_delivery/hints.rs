//! Hints between nodes that name pushes: sent after this node's own commits, heard from the others. One that is lost
//! is not missed: every node looks for itself each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::catalog::ids::PushId;
use crate::live::hear_hints;
use crate::storage::{Db, Hint, HintChannel, pushes_in};

/// Commits within so short a time share a hint.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Pushes in one round of hints.
const AT_ONCE: usize = 2_000;

/// Sends and hears hints.
pub(super) struct Hints {
    db: Db,
    own: mpsc::Receiver<Vec<PushId>>,
    told: mpsc::Sender<Vec<PushId>>,
    reconnected: Arc<Notify>,
}

impl Hints {
    /// `own` are the pushes to tell others of, `told` gets those that others tell of. `reconnected` is told that hints
    /// may have been lost.
    pub(super) fn new(
        db: Db,
        own: mpsc::Receiver<Vec<PushId>>,
        told: mpsc::Sender<Vec<PushId>>,
        reconnected: Arc<Notify>,
    ) -> Self {
        Self {
            db,
            own,
            told,
            reconnected,
        }
    }

    /// Sends and hears until it is dropped.
    pub(super) async fn run(self) {
        let Self {
            db,
            own,
            told,
            reconnected,
        } = self;
        tokio::join!(send(&db, own), hear(&db, told, &reconnected));
    }
}

async fn send(db: &Db, mut own: mpsc::Receiver<Vec<PushId>>) {
    while let Some(mut pushes) = own.recv().await {
        tokio::time::sleep(DEBOUNCE).await;
        while pushes.len() < AT_ONCE
            && let Ok(more) = own.try_recv()
        {
            pushes.extend(more);
        }
        if let Err(error) = db.hint_of_pushes(&pushes).await {
            tracing::debug!(%error, "a hint of pushes could not be sent");
        }
    }
}

async fn hear(db: &Db, told: mpsc::Sender<Vec<PushId>>, reconnected: &Notify) {
    hear_hints(db, HintChannel::Pushes, |hint| match hint {
        Hint::Changed(named) => {
            // What does not fit is found by the next look.
            let _ = told.try_send(pushes_in(&named).collect());
        }
        Hint::Reconnected => reconnected.notify_one(),
    })
    .await;
}
