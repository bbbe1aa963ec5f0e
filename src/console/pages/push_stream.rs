//! Stream of a push page: an event for each change of its states.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use futures_util::stream::unfold;

use super::pushes::SHOWN;
use crate::console::page_error::PageError;
use crate::console::visit::Visit;
use crate::http::path::PushPath;
use crate::services::pushes;
use crate::timer;

/// Interval in which a page's stream reads the states of its push.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Lifetime of a stream. The browser opens the next one.
const STREAM_FOR: Duration = Duration::from_mins(5);
/// Maximum number of streams of this node. A page without one is complete, but not live.
const MAX_STREAMS: usize = 200;

static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// Place among the open streams, given back on drop.
struct StreamPlace;

impl StreamPlace {
    fn take() -> Option<Self> {
        let taken = STREAMS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MAX_STREAMS).then_some(open + 1)
        });
        taken.ok().map(|_| Self)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Open stream of a page.
struct Changes {
    visit: Visit,
    path: PushPath,
    etag: Option<String>,
    until: std::time::Instant,
    _place: StreamPlace,
}

/// Streams the changes of a push's states. The session is verified at each read, so the stream ends with it.
pub(in crate::console) async fn follow(visit: Visit) -> Result<HttpResponse, PageError> {
    let path: PushPath = visit.path()?;
    let first = pushes::get(&visit.ctx, &visit.caller(false), path.tenant_id, path.push_id).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Some proxies buffer responses until they are complete.
        .insert_header(("X-Accel-Buffering", "no"));
    let Some(place) = StreamPlace::take() else {
        return Ok(response.body("retry: 30000\n\n"));
    };
    let changes = Changes {
        path,
        // A change between the page and its stream, or while the browser reconnects, is not lost.
        etag: visit.param(SHOWN).or_else(|| Some(first.etag())),
        until: timer::now() + STREAM_FOR,
        visit,
        _place: place,
    };
    let events = unfold(changes, async |mut changes| {
        let event = changes.next().await?;
        Some((Ok::<_, Infallible>(event), changes))
    });
    // The connection is closed after the stream, so that a stopping node does not wait for it.
    Ok(response.force_close().streaming(events))
}

impl Changes {
    /// Waits for the next change, or for the moment to say that the stream is alive.
    async fn next(&mut self) -> Option<Bytes> {
        if timer::now() >= self.until || self.visit.ctx.node().is_draining() {
            return None;
        }
        tokio::time::sleep(READ_EVERY).await;
        // Whoever has lost the session or the permission gets no further event.
        let visit = Visit::authenticate(self.visit.request.clone()).await.ok()?;
        let PushPath { tenant_id, push_id } = self.path;
        let found = pushes::get(&visit.ctx, &visit.caller(false), tenant_id, push_id)
            .await
            .ok()?;
        let etag = Some(found.etag());
        if etag == self.etag {
            return Some(Bytes::from_static(b":\n\n"));
        }
        self.etag = etag;
        Some(Bytes::from_static(b"event: changed\ndata:\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_stream_takes_and_gives_back_no_place() {
        let places: Vec<_> = (0..MAX_STREAMS).map_while(|_| StreamPlace::take()).collect();
        assert!(StreamPlace::take().is_none());
        assert!(StreamPlace::take().is_none());
        drop(places);
        assert_eq!(STREAMS.load(Ordering::Relaxed), 0);
    }
}
