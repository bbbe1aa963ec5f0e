//! Time limits of a connection that the HTTP library does not keep: its own limit on the head covers the first request
//! of a connection alone, and it has none for an answer that is not read.
//!
//! A connection without a request in progress is closed after a while, whatever it sends: an unfinished head, or the
//! rest of a body that was refused. So is one that does not take what is written to it.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection may be without a request in progress.
const IDLE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what is written to it.
const WRITE_PROGRESS_WITHIN: Duration = Duration::from_secs(30);

/// What goes on on a connection.
struct Activity {
    requests: Cell<u32>,
    idle_since: Cell<Instant>,
    /// The connection, when nothing else wakes it at its next idle time.
    waker: RefCell<Option<Waker>>,
}

/// A connection with its time limits.
pub(crate) struct TimedStream {
    stream: TcpStream,
    activity: Rc<Activity>,
    idle: Option<Pin<Box<Sleep>>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// A request in progress, until its answer is sent or given up.
pub(super) struct RequestInProgress(Rc<Activity>);

impl TimedStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let now = Instant::now();
        Self {
            stream,
            activity: Rc::new(Activity {
                requests: Cell::new(0),
                idle_since: Cell::new(now),
                waker: RefCell::default(),
            }),
            idle: Some(Box::pin(sleep_until(now + IDLE_WITHIN))),
            stalled: None,
        }
    }

    /// Lets the requests of the connection find its activity.
    pub(crate) fn on_connect(&self, extensions: &mut Extensions) {
        extensions.insert(self.activity.clone());
    }

    fn check_idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let activity = &self.activity;
        loop {
            let Some(idle) = &mut self.idle else {
                if activity.requests.get() > 0 {
                    *activity.waker.borrow_mut() = Some(cx.waker().clone());
                    return Ok(());
                }
                let deadline = activity.idle_since.get() + IDLE_WITHIN;
                self.idle = Some(Box::pin(sleep_until(deadline)));
                continue;
            };
            if idle.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.idle = None;
            if activity.requests.get() == 0 && activity.idle_since.get().elapsed() >= IDLE_WITHIN {
                metrics::counter!("slipway_connections_timed_out_total", "waiting_for" => "request")
                    .increment(1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// Keeps the time of a write that makes no progress.
    fn keep_time<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + WRITE_PROGRESS_WITHIN)));
        if stalled.as_mut().poll(cx).is_ready() {
            metrics::counter!("slipway_connections_timed_out_total", "waiting_for" => "reader").increment(1);
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending()
            && let Err(error) = self.check_idle(cx)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.keep_time(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl RequestInProgress {
    /// `None` where the connection keeps no time.
    pub(super) fn of(request: &ServiceRequest) -> Option<Self> {
        let activity = request.conn_data::<Rc<Activity>>()?.clone();
        activity.requests.set(activity.requests.get() + 1);
        Some(Self(activity))
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.requests.set(activity.requests.get() - 1);
        activity.idle_since.set(Instant::now());
        if let Some(waker) = activity.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The body of an answer, while which is sent the request is in progress.
pub(super) struct TrackedBody {
    body: BoxBody,
    request: Option<RequestInProgress>,
}

impl TrackedBody {
    pub(super) fn new(body: BoxBody, request: Option<RequestInProgress>) -> Self {
        Self { body, request }
    }
}

impl MessageBody for TrackedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let request = self.request;
        self.body.try_into_bytes().map_err(|body| Self { body, request })
    }
}
