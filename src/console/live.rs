//! Streams of live fragments: an event for each change of what a fragment of a page shows.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use futures_util::stream::unfold;

use super::page_error::PageError;
use super::visit::Visit;
use crate::timer;

/// Query parameter with the state that the page shows.
const SHOWN: &str = "shown";
/// Lifetime of a stream. The browser opens the next one.
const STREAM_FOR: Duration = Duration::from_mins(5);
/// Maximum number of streams of this node. A page without one is complete, but not live.
const MAX_STREAMS: usize = 200;
/// Maximum number of streams of one person, so that nobody takes those of others.
const MAX_STREAMS_OF_ONE: usize = 10;

/// Readers of the open streams, each as often as it has one.
static READERS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What a fragment shows.
pub(super) trait LiveState: 'static {
    /// Interval in which the stream reads the state.
    const READ_EVERY: Duration;

    /// Returns a text without spaces that differs after each change.
    async fn read(&self, visit: &Visit) -> Result<String, PageError>;
}

/// Returns the address of the stream of a fragment.
pub(super) fn stream_url(path: &str, shown: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(SHOWN, shown);
    format!("{path}/events?{}", query.finish())
}

/// Place among the open streams, given back on drop.
struct StreamPlace {
    reader: String,
}

impl StreamPlace {
    fn take(reader: String) -> Option<Self> {
        let mut readers = lock_readers();
        let own = readers.iter().filter(|other| **other == reader).count();
        if readers.len() >= MAX_STREAMS || own >= MAX_STREAMS_OF_ONE {
            return None;
        }
        readers.push(reader.clone());
        Some(Self { reader })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut readers = lock_readers();
        if let Some(index) = readers.iter().position(|reader| *reader == self.reader) {
            readers.swap_remove(index);
        }
    }
}

fn lock_readers() -> MutexGuard<'static, Vec<String>> {
    READERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Open stream of a fragment.
struct Changes<S> {
    visit: Visit,
    state: S,
    shown: String,
    until: std::time::Instant,
    _place: StreamPlace,
}

/// Streams the changes of a state. The session is verified at each read, so that the stream ends with it.
pub(super) async fn follow<S: LiveState>(visit: Visit, state: S) -> Result<HttpResponse, PageError> {
    let first = state.read(&visit).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Some proxies buffer responses until they are complete.
        .insert_header(("X-Accel-Buffering", "no"));
    let Some(place) = StreamPlace::take(visit.principal.key()) else {
        return Ok(response.body("retry: 30000\n\n"));
    };
    let changes = Changes {
        state,
        // A change between the page and its stream, or while the browser reconnects, is not lost.
        shown: visit.param(SHOWN).unwrap_or(first),
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

impl<S: LiveState> Changes<S> {
    /// Waits for the next change, or for the moment to say that the stream is alive.
    async fn next(&mut self) -> Option<Bytes> {
        if timer::now() >= self.until || self.visit.ctx.node().is_draining() {
            return None;
        }
        tokio::time::sleep(S::READ_EVERY).await;
        // Whoever has lost the session or the permission gets no further event.
        let visit = Visit::authenticate(self.visit.request.clone()).await.ok()?;
        let current = self.state.read(&visit).await.ok()?;
        if current == self.shown {
            return Some(Bytes::from_static(b":\n\n"));
        }
        self.shown = current;
        Some(Bytes::from_static(b"event: changed\ndata:\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_leaves_places_to_others() {
        let take = |reader: usize| StreamPlace::take(format!("user:{reader}"));
        let own: Vec<_> = (0..MAX_STREAMS).map_while(|_| take(0)).collect();
        assert_eq!(own.len(), MAX_STREAMS_OF_ONE);
        let others: Vec<_> = (0..).map_while(|number| take(1 + number)).collect();
        assert_eq!(own.len() + others.len(), MAX_STREAMS);
        drop((own, others));
        assert!(lock_readers().is_empty());
        assert!(take(0).is_some(), "places are given back");
    }
}
