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
/// How long a client may take for [`WRITE_PROGRESS`] of what is written to it, or for all that is left.
const WRITE_PROGRESS_WITHIN: Duration = Duration::from_secs(30);
/// A client that takes a byte now and then would keep its answer in memory for hours.
const WRITE_PROGRESS: usize = 64 * 1024;
/// A large answer goes out in pieces: the library copies each piece, and takes the next when most of it is gone.
const PIECE_BYTES: usize = 64 * 1024;

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
    /// Bytes that the client took since the timer was set.
    taken: usize,
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
            taken: 0,
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
                // The end of an answer may still be on its way, which has a limit of its own.
                if activity.requests.get() > 0 || self.stalled.is_some() {
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
            let is_idle = activity.requests.get() == 0 && self.stalled.is_none();
            if is_idle && activity.idle_since.get().elapsed() >= IDLE_WITHIN {
                metrics::counter!("slipway_connections_timed_out_total", "waiting_for" => "request")
                    .increment(1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// Keeps the time of a write that makes too little progress.
    fn keep_time(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<usize>>,
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = write {
            self.taken += written;
            let has_progressed = written == offered || self.taken >= WRITE_PROGRESS;
            if has_progressed && self.stalled.take().is_some() {
                self.activity.idle_since.set(Instant::now());
            }
        }
        if write.is_ready() {
            return write;
        }
        if self.stalled.is_none() {
            self.taken = 0;
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
        self.keep_time(cx, write, bytes.len())
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
    /// What is left of a large piece.
    rest: Bytes,
    /// Until the body is dropped.
    _request: Option<RequestInProgress>,
}

impl TrackedBody {
    pub(super) fn new(body: BoxBody, request: Option<RequestInProgress>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _request: request,
        }
    }
}

impl MessageBody for TrackedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => self.rest = piece,
                other => return other,
            }
        }
        let end = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(end))))
    }
}
