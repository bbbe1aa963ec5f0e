//! Notices that a client closed its end of a stream.
//!
//! A server learns of a closed connection only when it writes to it, which a stream does rarely. But the connection's
//! task polls the stream's body when anything happens on the connection, its end included. So a poll that nothing in the
//! stream asked for is answered with a few comments: if the client has gone, the second one fails, and the stream is
//! dropped. A client that only closed its sending half gets the comments and goes on.
//!
//! The end may come together with something of the stream's own, and is not told again. So comments follow that, too.

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

const COMMENT: &[u8] = b":\n\n";
/// Pauses before each comment after a poll that nothing explains.
const UNEXPLAINED: &[Duration] = &[
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];
/// The same after the stream's own wake-up that brought nothing.
const WOKEN: &[Duration] = &[Duration::from_millis(300), Duration::from_millis(700)];
/// The same after something was sent, which was the first of the two writes.
const SENT: &[Duration] = &[Duration::from_secs(1)];
/// Unexplained polls within this time after the last comment are left alone.
const REST: Duration = Duration::from_secs(2);

/// A stream of events that probes its client.
pub(super) struct Probing<S> {
    events: Pin<Box<S>>,
    of_events: Arc<Signal>,
    of_probes: Arc<Signal>,
    probes: Option<Probes>,
    rests_until: Option<Instant>,
    /// An item was returned: the body is polled again for the next.
    has_returned: bool,
    /// Comments to be sent once the stream has nothing else.
    follow_up: Option<&'static [Duration]>,
}

/// Comments that are yet to be sent.
struct Probes {
    next: Pin<Box<Sleep>>,
    rest: &'static [Duration],
}

/// Passes wake-ups on, and remembers that there was one.
#[derive(Default)]
struct Signal {
    is_woken: AtomicBool,
    connection: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.connection.wake();
    }
}

impl Signal {
    fn take(&self, context: &Context<'_>) -> bool {
        self.connection.register(context.waker());
        self.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Probes {
    fn begin(pauses: &'static [Duration]) -> Option<Self> {
        let (first, rest) = pauses.split_first()?;
        Some(Self {
            next: Box::pin(sleep(*first)),
            rest,
        })
    }
}

impl<S> Probing<S> {
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

    /// Starts comments if they are due and none are under way.
    fn consider(&mut self, is_explained: bool) {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        let unexplained = (!is_explained && !rests).then_some(UNEXPLAINED);
        if self.probes.is_none()
            && let Some(pauses) = unexplained.or(self.follow_up.take())
        {
            self.probes = Probes::begin(pauses);
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
        self.probes = Probes::begin(probes.rest);
        if self.probes.is_none() {
            self.rests_until = Some(Instant::now() + REST);
        }
        Poll::Ready(())
    }
}

impl<S: Stream<Item = Result<Bytes, Infallible>>> Stream for Probing<S> {
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
                this.consider(is_of_events || is_of_probes || is_next);
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
