//! A device's stream of server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get};
use futures_util::stream::unfold;
use utoipa::IntoParams;

use super::disconnect_probe::{COMMENT, ProbedStream};
use crate::http::openapi::ReadProblems;
use crate::http::path::{FromPath, OwnDevicePath};
use crate::http::problem::Problem;
use crate::http::request::{bearer, context};
use crate::http::request_ids;
use crate::http::telemetry::is_head;
use crate::services::authentication::authenticate_device;
use crate::services::push_channels::{EventStream, StreamEvent, open_stream};
use slipway_domain::catalog::field::FieldError;

/// Range of the reconnection delay, in milliseconds. The delay is random, so that the devices of a stopping node do not
/// reconnect at once.
const RETRY_MS: std::ops::Range<u64> = 1_000..5_000;

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
struct ResumeHeader {
    /// `id` of the last event that the device received.
    #[param(rename = "Last-Event-ID", required = false, minimum = 0, example = 12)]
    last_event_id: i64,
}

/// Receive pushes as server-sent events
///
/// Each event has `event: push`, the push's sequence as `id:`, and the push as in a poll as `data:`. Comments are sent
/// periodically. Open pushes after `Last-Event-ID` are sent immediately, and again until they are acknowledged. A stream
/// is never compressed. It ends when the node is about to stop: reconnect after `retry` milliseconds. Until the node has
/// stopped, a new stream has status 200 and ends after `retry`. It also ends when the token becomes invalid.
#[utoipa::path(tag = "device", operation_id = "receive_events", params(OwnDevicePath, ResumeHeader),
    security(("device_token" = [])),
    responses((status = 200, description = "Event stream", body = String, content_type = "text/event-stream"), ReadProblems))]
#[get("/devices/{device_id}/events")]
pub(super) async fn receive_events(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let ctx = context(&request).into_inner();
    let path = OwnDevicePath::from_path(&request)?;
    let principal = authenticate_device(&ctx, bearer(request.headers()), &path.device_id).await?;
    let has_up_to = read_last_event_id(&request)?;
    let mut response = event_stream_response();
    if is_head(&request) {
        return Ok(response.finish());
    }
    let stream = open_stream(ctx, principal, has_up_to);
    // The connection is closed after the stream, so that a stopping node does not wait for it.
    Ok(response.force_close().streaming(ProbedStream::new(body(stream))))
}

fn event_stream_response() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Some proxies buffer responses until they are complete.
        .insert_header(("X-Accel-Buffering", "no"));
    response
}

/// Body of the response. Without a stream (the node is about to stop) it contains only the delay and ends: an
/// `EventSource` reconnects only after status 200 (WHATWG HTML, section 9.2.2).
fn body(stream: Option<EventStream>) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let begin = Bytes::from(format!("retry: {}\n", retry_ms(request_ids::next())));
    unfold((Some(begin), stream), async |(begin, mut stream)| {
        let chunk = match begin {
            Some(begin) => begin,
            None => render(&stream.as_mut()?.next().await?),
        };
        Some((Ok(chunk), (None, stream)))
    })
}

fn retry_ms(random: u64) -> u64 {
    RETRY_MS.start + random % (RETRY_MS.end - RETRY_MS.start)
}

fn render(event: &StreamEvent) -> Bytes {
    let StreamEvent::Pushes(pushes) = event else {
        return Bytes::from_static(COMMENT);
    };
    let events = pushes.iter().map(|push| {
        let (id, data) = (push.sequence(), push.json());
        format!("event: push\nid: {id}\ndata: {data}\n\n")
    });
    Bytes::from(events.collect::<String>())
}

/// Parses `Last-Event-ID`; 0 if it is absent or empty. A browser that has received no event sends it empty.
fn read_last_event_id(request: &HttpRequest) -> Result<i64, Problem> {
    let Some(header) = request.headers().get("Last-Event-ID") else {
        return Ok(0);
    };
    let text = header.to_str().map(str::trim);
    let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        Ok("") => Ok(0),
        text => text
            .ok()
            .filter(is_number)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                Problem::invalid(vec![FieldError::invalid(
                    "Last-Event-ID",
                    "must be the id of an event of this stream",
                )])
            }),
    }
}
