//! Connection time limits that actix-web lacks. Its head timeout covers only the first request of a connection, and it
//! has no timeout for a response that the client does not read.
//!
//! A connection without a request in progress is closed after a timeout, even if it sends an unfinished head or the
//! rest of a rejected body. A connection whose client stops reading is closed too.

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

use crate::timer;

/// Maximum time of a connection without a request in progress.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for a client to read [`WRITE_PROGRESS`] bytes, or everything that is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that count as progress. Without a minimum, a client that reads single bytes could keep a response in memory
/// for hours.
const WRITE_PROGRESS: usize = 64 * 1024;
/// Chunk size of large responses. The library copies each chunk, and requests the next one when most of it is sent.
const PIECE_BYTES: usize = 64 * 1024;

/// State of a connection.
struct Activity {
    requests: Cell<u32>,
    idle_since: Cell<Instant>,
    /// Waker of the connection, set while no idle timer is running.
    waker: RefCell<Option<Waker>>,
}

/// TCP stream that enforces the time limits.
pub(crate) struct TimedStream {
    stream: TcpStream,
    activity: Rc<Activity>,
    idle: Option<Pin<Box<Sleep>>>,
    stall_timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that the client has read since the timer was set.
    taken: usize,
}

/// Request in progress, until its response is sent or abandoned.
pub(super) struct RequestInProgress(Rc<Activity>);

impl TimedStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let now = timer::runtime_now();
        Self {
            stream,
            activity: Rc::new(Activity {
                requests: Cell::new(0),
                idle_since: Cell::new(now),
                waker: RefCell::default(),
            }),
            idle: Some(Box::pin(sleep_until(now + IDLE_TIMEOUT))),
            stall_timer: None,
            taken: 0,
        }
    }

    /// Stores the activity where requests of the connection can find it.
    pub(crate) fn on_connect(&self, extensions: &mut Extensions) {
        extensions.insert(self.activity.clone());
    }

    fn check_idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let activity = &self.activity;
        loop {
            let Some(idle) = &mut self.idle else {
                // The end of a response may still be in transit, which has its own time limit.
                if activity.requests.get() > 0 || self.stall_timer.is_some() {
                    *activity.waker.borrow_mut() = Some(cx.waker().clone());
                    return Ok(());
                }
                let deadline = activity.idle_since.get() + IDLE_TIMEOUT;
                self.idle = Some(Box::pin(sleep_until(deadline)));
                continue;
            };
            if idle.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.idle = None;
            let is_idle = activity.requests.get() == 0 && self.stall_timer.is_none();
            if is_idle && activity.idle_since.get().elapsed() >= IDLE_TIMEOUT {
                metrics::counter!("slipway_connections_timed_out_total", "waiting_for" => "request")
                    .increment(1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// Starts, resets or enforces the timer of a stalled write.
    fn enforce_write_timeout(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<usize>>,
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = write {
            self.taken += written;
            let has_progressed = written == offered || self.taken >= WRITE_PROGRESS;
            if has_progressed && self.stall_timer.take().is_some() {
                self.activity.idle_since.set(timer::runtime_now());
            }
        }
        if write.is_ready() {
            return write;
        }
        if self.stall_timer.is_none() {
            self.taken = 0;
        }
        let stall_timer = self
            .stall_timer
            .get_or_insert_with(|| Box::pin(sleep_until(timer::runtime_now() + WRITE_TIMEOUT)));
        if stall_timer.as_mut().poll(cx).is_ready() {
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
        self.enforce_write_timeout(cx, write, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl RequestInProgress {
    /// Returns `None` if the connection has no time limits.
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
        activity.idle_since.set(timer::runtime_now());
        if let Some(waker) = activity.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Response body that keeps its request in progress until it is sent.
pub(super) struct TrackedBody {
    body: BoxBody,
    /// Rest of a large chunk.
    rest: Bytes,
    /// Held until the body is dropped.
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::*;

    const OFFERED: usize = 1_000_000;

    async fn stream() -> TimedStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TimedStream::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap())
    }

    /// Lets the client take so many bytes; `None` if it takes none.
    async fn write(stream: &mut TimedStream, taken: Option<usize>) -> Poll<io::Result<usize>> {
        poll_fn(|cx| {
            let write = taken.map_or(Poll::Pending, |taken| Poll::Ready(Ok(taken)));
            Poll::Ready(stream.enforce_write_timeout(cx, write, OFFERED))
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
        let mut stream = stream().await;
        assert!(write(&mut stream, None).await.is_pending());
        for _ in 0..29 {
            sleep(Duration::from_secs(1)).await;
            assert!(matches!(write(&mut stream, Some(1)).await, Poll::Ready(Ok(1))));
            assert!(write(&mut stream, None).await.is_pending());
        }
        sleep(Duration::from_secs(1)).await;
        assert!(matches!(write(&mut stream, None).await, Poll::Ready(Err(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_enough_is_kept() {
        let mut stream = stream().await;
        for _ in 0..10 {
            assert!(write(&mut stream, None).await.is_pending());
            sleep(Duration::from_secs(29)).await;
            assert!(matches!(
                write(&mut stream, Some(WRITE_PROGRESS)).await,
                Poll::Ready(Ok(_))
            ));
        }
        assert!(write(&mut stream, None).await.is_pending());
    }
}
