//! Gate in front of a lock or a semaphore that serves waiters in order, for callers with and without priority.

use tokio::sync::Mutex;

/// Admits one caller without priority at a time to a wait. A caller with priority is admitted at once, so it waits
/// behind at most one other.
#[derive(Debug, Default)]
pub(super) struct PriorityGate(Mutex<()>);

impl PriorityGate {
    /// Waits for admission, then for `acquire`.
    pub(super) async fn wait<T>(&self, is_urgent: bool, acquire: impl Future<Output = T>) -> T {
        let _admitted = if is_urgent {
            None
        } else {
            Some(self.0.lock().await)
        };
        acquire.await
    }
}
