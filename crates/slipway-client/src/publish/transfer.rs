//! Transfer of one upload: its progress, its time limits, and errors of the file itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;

use super::attempt::AttemptError;
use super::failure::Failure;
use super::output::Progress;

/// Maximum time in which nothing can be sent. The server itself ends uploads that are slower than 64 KiB in 30 s.
const SENDING_SILENCE: Duration = Duration::from_mins(5);
/// Maximum silence after the whole file was sent. The server verifies and stores it meanwhile, and the system may still
/// hold bytes that a slow link has not carried.
const ANSWER_SILENCE: Duration = Duration::from_mins(30);

/// State of one attempt to upload a file.
#[derive(Clone)]
pub(super) struct Transfer(Arc<State>);

struct State {
    size: u64,
    sent: AtomicU64,
    /// Reason for which the file cannot be sent.
    fault: OnceLock<Failure>,
    progress: Progress,
}

impl Transfer {
    pub(super) fn new(size: u64, progress: &Progress) -> Self {
        progress.restart();
        Self(Arc::new(State {
            size,
            sent: AtomicU64::new(0),
            fault: OnceLock::new(),
            progress: progress.clone(),
        }))
    }

    /// Records bytes that were passed to the connection.
    pub(super) fn advance(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.progress.advance(bytes);
    }

    /// Records the reason for which the file cannot be sent. The client only reports that the body failed.
    pub(super) fn fail(&self, fault: Failure) {
        // The first reason is the cause of others.
        let _ = self.0.fault.set(fault);
    }

    /// Waits for the answer to an upload. Fails early if the file cannot be sent, or nothing happens.
    pub(super) async fn answer<T>(
        &self,
        upload: impl Future<Output = Result<T, AttemptError>>,
    ) -> Result<T, AttemptError> {
        let answered = self.within_limits(upload).await;
        match self.0.fault.get() {
            Some(fault) => Err(AttemptError::Final(fault.clone())),
            None => answered,
        }
    }

    async fn within_limits<T>(
        &self,
        upload: impl Future<Output = Result<T, AttemptError>>,
    ) -> Result<T, AttemptError> {
        let mut upload = std::pin::pin!(upload);
        loop {
            let sent = self.0.sent.load(Ordering::Relaxed);
            let limit = if sent < self.0.size {
                SENDING_SILENCE
            } else {
                ANSWER_SILENCE
            };
            match timeout(limit, &mut upload).await {
                Ok(answered) => return answered,
                Err(_) if self.0.sent.load(Ordering::Relaxed) > sent => {}
                Err(_) => {
                    let reason = format!("nothing happened for {} minutes", limit.as_secs() / 60);
                    return Err(AttemptError::temporary(reason));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_as_long_as_it_makes_progress() {
        let transfer = Transfer::new(60, &Progress::hidden());
        let upload = async {
            for _ in 0..60 {
                sleep(MINUTE * 4).await;
                transfer.advance(1);
            }
            // The server verifies the file.
            sleep(MINUTE * 29).await;
            Ok(())
        };
        transfer.answer(upload).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_upload_ends() {
        for (sent, limit) in [(0, SENDING_SILENCE), (1, SENDING_SILENCE), (2, ANSWER_SILENCE)] {
            let transfer = Transfer::new(2, &Progress::hidden());
            transfer.advance(sent);
            let silent = std::future::pending::<Result<(), _>>();
            let ended = timeout(limit + MINUTE, transfer.answer(silent)).await.unwrap();
            assert!(matches!(ended, Err(AttemptError::Temporary { .. })), "{ended:?}");
        }
    }

    #[tokio::test]
    async fn a_fault_of_the_file_is_the_cause() {
        let transfer = Transfer::new(1, &Progress::hidden());
        let upload = async {
            transfer.fail(Failure::Usage("the file is gone".to_owned()));
            transfer.fail(Failure::Usage("another".to_owned()));
            Err::<(), _>(AttemptError::temporary("error sending request"))
        };
        let ended = transfer.answer(upload).await;
        let Err(AttemptError::Final(failure)) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(failure.message(), "the file is gone");
    }
}
