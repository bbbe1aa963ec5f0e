//! Tracks the writes of a call, so that a cancelled call can report whether it may have written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WRITES: Arc<WriteProgress>;
}

/// Record of whether a call has sent a write that may have been committed.
#[derive(Debug, Default)]
pub struct WriteProgress {
    is_possibly_committed: AtomicBool,
}

impl WriteProgress {
    /// Returns `true` from the moment a COMMIT is sent, unless the database refused it.
    pub fn is_possibly_committed(&self) -> bool {
        self.is_possibly_committed.load(Ordering::Relaxed)
    }
}

/// Returns the record of the current call, if it has one.
pub fn current_writes() -> Option<Arc<WriteProgress>> {
    WRITES.try_with(Clone::clone).ok()
}

/// Runs a call and records its writes in `progress`.
pub async fn track_writes<T>(progress: Arc<WriteProgress>, call: impl Future<Output = T>) -> T {
    WRITES.scope(progress, call).await
}

/// Runs statements beyond the caller's request, such as the reservation of an idempotency key, without recording them.
pub(super) async fn without_tracking<T>(statements: impl Future<Output = T>) -> T {
    WRITES.scope(Arc::default(), statements).await
}

/// A write that was sent to the database.
pub(super) struct SentWrite {
    was_possibly_committed: bool,
}

/// Records that a write is about to be sent. The record stands until the database refuses the write.
pub(super) fn send_write() -> SentWrite {
    let before = WRITES.try_with(|writes| writes.is_possibly_committed.swap(true, Ordering::Relaxed));
    SentWrite {
        was_possibly_committed: before.unwrap_or(false),
    }
}

impl SentWrite {
    /// Reverts the record after the database refused the write.
    pub(super) fn mark_refused(self) {
        let before = self.was_possibly_committed;
        // Outside a call there is nothing to record.
        let _ = WRITES.try_with(|writes| writes.is_possibly_committed.store(before, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_may_be_done_once_it_was_sent_and_not_when_it_was_refused() {
        let progress = Arc::new(WriteProgress::default());
        track_writes(progress.clone(), async {
            without_tracking(async { _ = send_write() }).await;
            assert!(!progress.is_possibly_committed());
            let refused = send_write();
            assert!(progress.is_possibly_committed());
            refused.mark_refused();
            assert!(!progress.is_possibly_committed());
            _ = send_write();
            send_write().mark_refused();
            assert!(progress.is_possibly_committed(), "the first may be committed");
        })
        .await;
    }
}
