//! Body of a request as it arrives, in pieces and within time limits.

use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use futures_util::{FutureExt as _, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::services::{DeadlineSuspension, suspend_deadline};
use crate::timer;

/// Maximum time without progress of a body.
pub(super) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time of a whole body.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Reason for not reading a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    Incomplete,
    TooLarge,
    /// No progress for too long, or too slow as a whole.
    TooSlow,
    /// The memory for slow bodies is exhausted.
    NoMemory,
}

/// Reads a body in pieces and enforces its time limits. A body that has already arrived needs no timer.
pub(super) struct BodyReader<'p> {
    payload: &'p mut Payload,
    /// Read ahead, to find out whether the next piece has arrived.
    next: Poll<Option<Result<Bytes, BodyError>>>,
    began: Option<Instant>,
    /// True if the body arrived after the head.
    pub(super) has_waited: bool,
    /// Suspends the deadline of the call, which limits the database and not a slow sender.
    _suspended: DeadlineSuspension,
}

impl<'p> BodyReader<'p> {
    pub(super) fn new(payload: &'p mut Payload) -> Self {
        Self {
            payload,
            next: Poll::Pending,
            began: None,
            has_waited: false,
            _suspended: suspend_deadline(),
        }
    }

    /// Returns true if neither the next piece nor the end has arrived yet.
    pub(super) fn is_waiting(&mut self) -> bool {
        if self.next.is_pending()
            && let Some(piece) = self.payload.next().now_or_never()
        {
            self.next = Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::Incomplete)));
        }
        self.next.is_pending()
    }

    /// Returns the next piece, or `None` at the end.
    pub(super) async fn next(&mut self, max_bytes: usize) -> Result<Option<Bytes>, BodyError> {
        if self.is_waiting() {
            self.has_waited = true;
            let piece = self.wait().await?;
            self.next = Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::Incomplete)));
        }
        let next = std::mem::replace(&mut self.next, Poll::Pending);
        let Poll::Ready(Some(piece)) = next else {
            return Ok(None);
        };
        let piece = piece?;
        if piece.len() > max_bytes {
            return Err(BodyError::TooLarge);
        }
        Ok(Some(piece))
    }

    async fn wait(&mut self) -> Result<Option<Result<Bytes, actix_web::error::PayloadError>>, BodyError> {
        let now = timer::runtime_now();
        let began = *self.began.get_or_insert(now);
        let deadline = (now + PROGRESS_TIMEOUT).min(began + TOTAL_TIMEOUT);
        timeout_at(deadline, self.payload.next())
            .await
            .map_err(|_| BodyError::TooSlow)
    }
}
