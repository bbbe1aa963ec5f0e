//! Hints between nodes that name pushes: sent after this node's own commits, heard from the others. One that is lost
//! is not missed: every node looks for itself each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::catalog::ids::PushId;
use crate::live::hear_hints;
use crate::storage::{Db, Hint, HintChannel, pushes_in};
use crate::supervision::Exit;

/// Commits within so short a time share a hint.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Pushes in one round of hints.
const AT_ONCE: usize = 2_000;

/// Sends hints of this node's own pushes.
pub(super) struct HintSender {
    db: Db,
    own: mpsc::Receiver<Vec<PushId>>,
}

/// Hears of the other nodes' pushes.
pub(super) struct HintListener {
    db: Db,
    told: mpsc::Sender<Vec<PushId>>,
    reconnected: Arc<Notify>,
}

impl HintSender {
    /// `own` are the pushes that other nodes are to hear of.
    pub(super) fn new(db: Db, own: mpsc::Receiver<Vec<PushId>>) -> Self {
        Self { db, own }
    }

    /// Sends until it is dropped or there can be no more pushes.
    pub(super) async fn run(&mut self) -> Exit {
        while let Some(mut pushes) = self.own.recv().await {
            tokio::time::sleep(DEBOUNCE).await;
            while pushes.len() < AT_ONCE
                && let Ok(more) = self.own.try_recv()
            {
                pushes.extend(more);
            }
            if let Err(error) = self.db.hint_of_pushes(&pushes).await {
                tracing::debug!(%error, "a hint of pushes could not be sent");
            }
        }
        Exit::Finished
    }
}

impl HintListener {
    /// `told` gets the pushes that others tell of; `reconnected` is notified when hints may have been lost.
    pub(super) fn new(db: Db, told: mpsc::Sender<Vec<PushId>>, reconnected: Arc<Notify>) -> Self {
        Self {
            db,
            told,
            reconnected,
        }
    }

    /// Listens until it is dropped.
    pub(super) async fn run(&self) {
        hear_hints(&self.db, HintChannel::Pushes, |hint| match hint {
            Hint::Changed(named) => {
                // What does not fit is found by the next look.
                let _ = self.told.try_send(pushes_in(&named).collect());
            }
            Hint::Reconnected => self.reconnected.notify_one(),
        })
        .await;
    }
}
