//! Threads that read files for downloads and for verification.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::StoreError;
use crate::thread_priority;

/// Number of threads. A slow disk can block all of them.
const THREADS: usize = 16;
/// Niceness of the threads. While checks need a core, each thread gets a small share of it. A download sends only what was
/// read, so that it leaves the core to checks, too.
const NICENESS: i32 = 19;

/// Threads with a low priority, which are started on demand.
pub(super) struct FileReaders(Option<Runtime>);

/// Access to the threads.
#[derive(Clone)]
pub(super) struct FileReaderHandle(Handle);

impl FileReaders {
    pub(super) fn new() -> Result<Self, StoreError> {
        // Only the threads for blocking work are used, which need no driver.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .thread_name("file-reader")
            .on_thread_start(|| thread_priority::lower(NICENESS))
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn handle(&self) -> FileReaderHandle {
        let runtime = self.0.as_ref().expect("the threads end with their owner");
        FileReaderHandle(runtime.handle().clone())
    }
}

impl Drop for FileReaders {
    fn drop(&mut self) {
        // The owner may be dropped on a thread that must not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl FileReaderHandle {
    pub(super) fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.0.spawn_blocking(read)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_read_at_a_low_priority() {
        let readers = FileReaders::new().unwrap();
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(readers.handle().run(niceness).await.unwrap(), NICENESS);
        assert_eq!(niceness(), before);
    }
}
