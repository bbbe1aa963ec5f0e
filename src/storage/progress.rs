//! Tracks the writes of a call, so that a call which is abandoned can tell its caller whether it may have written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WRITES: Arc<WriteProgress>;
}

/// Records whether a call has sent something to the database that may have been committed.
#[derive(Debug, Default)]
pub struct WriteProgress {
    may_be_done: AtomicBool,
}

impl WriteProgress {
    /// Returns `true` from the moment a COMMIT is sent, unless the database refused it.
    pub fn may_be_done(&self) -> bool {
        self.may_be_done.load(Ordering::Relaxed)
    }
}

/// The record of the call that runs here, if it has one.
pub fn current_writes() -> Option<Arc<WriteProgress>> {
    WRITES.try_with(Clone::clone).ok()
}

/// Runs a call and records its writes in `progress`.
pub async fn track_writes<T>(progress: Arc<WriteProgress>, call: impl Future<Output = T>) -> T {
    WRITES.scope(progress, call).await
}

/// Runs statements that are no part of what the caller asked for, such as the reservation of an idempotency key.
pub(super) async fn untracked<T>(statements: impl Future<Output = T>) -> T {
    WRITES.scope(Arc::default(), statements).await
}

/// A write that was sent to the database.
pub(super) struct SentWrite {
    may_have_been_done_before: bool,
}

/// Records that a write is about to be sent. It counts until the database refuses it.
pub(super) fn send_write() -> SentWrite {
    let before = WRITES.try_with(|writes| writes.may_be_done.swap(true, Ordering::Relaxed));
    SentWrite {
        may_have_been_done_before: before.unwrap_or(false),
    }
}

impl SentWrite {
    /// The database said that it did not do it.
    pub(super) fn refused(self) {
        let before = self.may_have_been_done_before;
        // Outside of a call there is nothing to record.
        let _ = WRITES.try_with(|writes| writes.may_be_done.store(before, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_may_be_done_once_it_was_sent_and_not_when_it_was_refused() {
        let progress = Arc::new(WriteProgress::default());
        track_writes(progress.clone(), async {
            untracked(async { _ = send_write() }).await;
            assert!(!progress.may_be_done());
            let refused = send_write();
            assert!(progress.may_be_done());
            refused.refused();
            assert!(!progress.may_be_done());
            _ = send_write();
            send_write().refused();
            assert!(progress.may_be_done(), "the first may be done");
        })
        .await;
    }
}
