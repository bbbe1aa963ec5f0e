//! Threads that stand back behind all others: for work that may take longer, so that checks go on.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How far the threads stand back where cores are scarce, as `nice` counts (0 to 19): each then gets about a seventieth
/// of a core that is wanted for checks.
const NICENESS: i32 = 19;

/// Runs tasks, and what blocks in them, on threads that stand back. Once it is dropped they end, at their next await.
pub(crate) struct Background {
    handle: Handle,
    /// Taken when it ends.
    runtime: Option<Runtime>,
}

impl Background {
    /// One thread, and more for what blocks. Fails where the system lets no more threads be started.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("background")
            .on_thread_start(stand_back)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(task)
    }
}

impl Drop for Background {
    /// Waiting for the threads is not allowed to whoever is a task of another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Makes the calling thread stand back. Linux keeps a priority for each thread; elsewhere it is the whole process's,
/// which must not stand back.
pub(crate) fn stand_back() {
    // Without it the work is done too.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("a thread may ask for its own")
    }

    #[tokio::test]
    async fn tasks_and_what_blocks_in_them_stand_back_and_nobody_else() {
        let before = niceness();
        let background = Background::start().unwrap();
        let seen = background.spawn(async {
            let blocking = tokio::task::spawn_blocking(niceness).await.unwrap();
            let further = tokio::spawn(async { niceness() }).await.unwrap();
            [niceness(), blocking, further]
        });
        assert_eq!(seen.await.unwrap(), [NICENESS; 3]);
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn what_runs_ends_with_it() {
        let background = Background::start().unwrap();
        let task = background.spawn(std::future::pending::<()>());
        drop(background);
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
