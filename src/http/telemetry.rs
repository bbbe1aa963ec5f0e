//! Middleware for every request: request id, metrics and panic handling.

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use futures_util::FutureExt;
use metrics::{Counter, Histogram};
use tracing::Instrument;

use super::Console;
use super::access_log::{AccessLogEntry, loggable_path};
use super::compression::compress_response;
use super::connection::{RequestInProgress, TrackedBody};
use super::documentation;
use super::problem::Problem;
use super::request_ids;
use crate::services::{Context, within_deadline};
use crate::timer;

/// Id of a request in its response, the log and the audit.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// Marks a request whose response is sent without a body.
struct HeadOnly;

/// Returns true for HEAD requests, whose response is computed but sent without a body.
pub(crate) fn is_head(request: &HttpRequest) -> bool {
    request.extensions().get::<HeadOnly>().is_some()
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths of checks. They are requested most often and contain no parameters, so their route is known without a lookup.
const CHECK_PATHS: [&str; 3] = ["/v1/check", "/router/rest", "/router/batch"];

/// Assigns a request id, then measures, logs and protects the request. A HEAD request is handled as GET (RFC 9110,
/// section 9.3.2), and the server's encoder omits the body.
pub(super) async fn instrument_request(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request_id_from(&request);
    trim_trailing_slash(&mut request);
    let method = request.method().clone();
    // The gateway has its own response for unknown verbs.
    if method == Method::HEAD && !request.path().starts_with("/router/") {
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadOnly);
    }
    let check_path = CHECK_PATHS.into_iter().find(|known| *known == request.path());
    let path = check_path.map_or_else(|| Cow::Owned(request.path().to_owned()), Cow::Borrowed);
    let span = if check_path.is_some() {
        tracing::debug_span!("request", request.id = %id)
    } else {
        request.extensions_mut().insert(RequestId(id.clone()));
        tracing::error_span!("request", request.id = %id)
    };
    let in_progress = RequestInProgress::of(&request);
    let began = timer::now();
    // A check does not use the database, and the gateway's push has its own response to a missed deadline.
    let has_deadline = check_path.is_none();
    let console = Console::has_page(&path)
        .then(|| request.app_data::<Console>().copied())
        .flatten();
    let languages = console.and_then(|_| request.headers().get(ACCEPT_LANGUAGE).cloned());
    // A call that misses its deadline loses its request.
    let context = if has_deadline {
        request.app_data::<web::Data<Context>>().cloned()
    } else {
        None
    };
    let answer = async {
        if has_deadline {
            within_deadline(next.call(request)).await
        } else {
            Ok(next.call(request).await)
        }
    };
    let answered = AssertUnwindSafe(answer)
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let mut response = match answered {
        Ok(Ok(answered)) => answered?,
        failed => {
            let (end, problem) = match failed {
                Ok(Err(error)) => ("given up", span.in_scope(|| Problem::of_call(&method, error))),
                // The panic hook has logged the message.
                _ => ("panicked", Problem::internal()),
            };
            let took = began.elapsed();
            let entry = AccessLogEntry {
                method: &method,
                path: &path,
                route: end,
                status: problem.status_code(),
                took,
            };
            span.in_scope(|| entry.log(None));
            measure(&method, end, problem.status_code(), took);
            let languages = languages.as_ref().and_then(|header| header.to_str().ok());
            let mut response = console.map_or_else(
                || problem.error_response(),
                |console| (console.failure_page)(languages.unwrap_or_default(), &problem),
            );
            add_common_headers(response.headers_mut(), id, &path);
            if is_draining(context.as_ref()) {
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            return Err(InternalError::from_response(problem, response).into());
        }
    };
    let route = match check_path {
        Some(path) => Cow::Borrowed(path),
        None => response
            .request()
            .match_pattern()
            .map_or(Cow::Borrowed("none"), Cow::Owned),
    };
    let took = began.elapsed();
    let entry = AccessLogEntry {
        method: &method,
        path: loggable_path(&path, &route),
        route: &route,
        status: response.status(),
        took,
    };
    span.in_scope(|| entry.log(Some(response.request())));
    measure(&method, &route, response.status(), took);
    // Routes match the decoded path, which cannot be derived from the raw path.
    let place = if route == "none" { &*path } else { &*route };
    add_common_headers(response.headers_mut(), id, place);
    if is_draining(response.request().app_data()) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    if place == "/docs" || place.starts_with("/docs/") {
        documentation::add_page_headers(&mut response);
    }
    Ok(compress_response(response, path == CHECK_PATHS[0])
        .map_into_boxed_body()
        .map_body(|_, body| TrackedBody::new(body, in_progress)))
}

/// Returns true if the connection must be closed after the response, because the node drains. A client that keeps a
/// connection in use would hold the stop, and its last request would be lost.
fn is_draining(context: Option<&web::Data<Context>>) -> bool {
    context.is_some_and(|context| context.node().is_draining())
}

/// Removes a slash from the end of the path, except below `/docs`, whose pages have relative links.
fn trim_trailing_slash(request: &mut ServiceRequest) {
    let uri = request.uri();
    let Some(path) = uri.path().strip_suffix('/') else {
        return;
    };
    if path.is_empty() || path.ends_with('/') || path == "/docs" || path.starts_with("/docs/") {
        return;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{path}{query}").parse().ok();
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Adds the headers of every response.
fn add_common_headers(headers: &mut HeaderMap, id: String, path: &str) {
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Any response may contain secrets or tenant data, including replays, lists and problems.
    if (path.starts_with("/api/") || path.starts_with("/v1/devices")) && !headers.contains_key(CACHE_CONTROL)
    {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Returns the caller's id if it is a plain word, so that requests can be traced across services.
fn request_id_from(request: &ServiceRequest) -> String {
    request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()))
        .filter(|id| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
        .map_or_else(generate_id, str::to_owned)
}

/// Generates an id of 32 hexadecimal digits.
fn generate_id() -> String {
    let halves = [request_ids::next(), request_ids::next()].map(u64::to_be_bytes);
    hex::encode(halves.as_flattened())
}

/// Metrics of one route, by method and status.
type RouteMetrics = Vec<(&'static str, StatusCode, Counter, Histogram)>;

thread_local! {
    /// Metrics cached by this thread. Requesting them from the recorder each time would take a lock and build every
    /// label.
    static METRICS: RefCell<Vec<(String, RouteMetrics)>> = RefCell::default();
}

fn measure(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = method_label(method);
    METRICS.with_borrow_mut(|routes| {
        let index = routes.iter().position(|(known, _)| known == route);
        let index = index.unwrap_or_else(|| {
            routes.push((route.to_owned(), RouteMetrics::new()));
            routes.len() - 1
        });
        let (_, metrics) = &mut routes[index];
        let known = metrics
            .iter()
            .position(|(own, of_status, ..)| *own == method && *of_status == status);
        let index = known.unwrap_or_else(|| {
            metrics.push(register_metrics(method, route, status));
            metrics.len() - 1
        });
        let (.., requests, durations) = &metrics[index];
        requests.increment(1);
        durations.record(took.as_secs_f64());
    });
}

fn register_metrics(
    method: &'static str,
    route: &str,
    status: StatusCode,
) -> (&'static str, StatusCode, Counter, Histogram) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    let requests = metrics::counter!("slipway_http_requests_total", &labels);
    let durations = metrics::histogram!("slipway_http_request_duration_seconds", &labels[..2]);
    (method, status, requests, durations)
}

/// Maps a method to a label. Unknown methods share one label, because clients may invent any number of them.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
