//! Detection of clients that have closed their end of a stream.
//!
//! A server detects a closed connection only when it writes, and an event stream writes rarely. The connection's task
//! polls the body of the stream on any event of the connection, including its end. A poll that the stream did not
//! request is therefore answered with a few comments. If the client is gone, the second write fails and the stream is
//! dropped. A client that has closed only its sending half receives the comments and continues.
//!
//! The end of the connection may coincide with an event of the stream, and is signalled only once. Comments therefore
//! follow events too.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep};

use crate::timer;

/// Comment without a blank line, because some clients dispatch an empty event after one.
pub(super) const COMMENT: &[u8] = b":\n";
/// Delays before each comment after an unexplained poll.
const UNEXPLAINED: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];
/// Delays before each comment after a wake-up of the stream without an event.
const WOKEN: &[Duration] = &[Duration::from_millis(300), Duration::from_millis(700)];
/// Delay before the comment after an event, which is the first of the two writes.
const SENT: &[Duration] = &[Duration::from_secs(1)];
/// Time after the last comment during which unexplained polls are ignored.
const REST: Duration = Duration::from_secs(2);

/// Event stream that probes its client.
pub(super) struct ProbedStream<S> {
    events: Pin<Box<S>>,
    of_events: Arc<WakeRecorder>,
    of_probes: Arc<WakeRecorder>,
    probes: Option<PendingProbes>,
    rests_until: Option<Instant>,
    /// True if an item was returned, after which the body is polled for the next one.
    has_returned: bool,
    /// Delays of the comments to send once the stream has no event.
    follow_up: Option<&'static [Duration]>,
}

/// Pending comments.
struct PendingProbes {
    next: Pin<Box<Sleep>>,
    rest: &'static [Duration],
}

/// Waker that forwards wake-ups to the connection and records them.
#[derive(Default)]
struct WakeRecorder {
    is_woken: AtomicBool,
    connection: AtomicWaker,
}

impl Wake for WakeRecorder {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.connection.wake();
    }
}

impl WakeRecorder {
    fn take(&self, context: &Context<'_>) -> bool {
        self.connection.register(context.waker());
        self.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl PendingProbes {
    fn begin(pauses: &'static [Duration]) -> Option<Self> {
        let (first, rest) = pauses.split_first()?;
        Some(Self {
            next: Box::pin(sleep(*first)),
            rest,
        })
    }
}

impl<S> ProbedStream<S> {
    pub(super) fn new(events: S) -> Self {
        Self {
            events: Box::pin(events),
            of_events: Arc::default(),
            of_probes: Arc::default(),
            probes: None,
            rests_until: None,
            has_returned: true,
            follow_up: None,
        }
    }

    /// Schedules comments if they are due and none are pending.
    fn schedule_probes(&mut self, is_explained: bool) {
        let rests = self.rests_until.is_some_and(|until| timer::runtime_now() < until);
        let unexplained = (!is_explained && !rests).then_some(UNEXPLAINED);
        if self.probes.is_none()
            && let Some(pauses) = unexplained.or(self.follow_up.take())
        {
            self.probes = PendingProbes::begin(pauses);
        }
    }

    fn poll_probe(&mut self) -> Poll<()> {
        let waker = Waker::from(self.of_probes.clone());
        let mut context = Context::from_waker(&waker);
        let Some(probes) = &mut self.probes else {
            return Poll::Pending;
        };
        if probes.next.as_mut().poll(&mut context).is_pending() {
            return Poll::Pending;
        }
        self.probes = PendingProbes::begin(probes.rest);
        if self.probes.is_none() {
            self.rests_until = Some(timer::runtime_now() + REST);
        }
        Poll::Ready(())
    }
}

impl<S: Stream<Item = Result<Bytes, Infallible>>> Stream for ProbedStream<S> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let is_of_events = this.of_events.take(context);
        let is_of_probes = this.of_probes.take(context);
        let is_next = std::mem::take(&mut this.has_returned);
        let waker = Waker::from(this.of_events.clone());
        let polled = match this.events.as_mut().poll_next(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                if is_of_events && this.follow_up.is_none() {
                    this.follow_up = Some(WOKEN);
                }
                this.schedule_probes(is_of_events || is_of_probes || is_next);
                let probe = this.poll_probe();
                probe.map(|()| Some(Ok(Bytes::from_static(COMMENT))))
            }
            ready @ Poll::Ready(_) => {
                this.follow_up = Some(SENT);
                ready
            }
        };
        this.has_returned = polled.is_ready();
        polled
    }
}
