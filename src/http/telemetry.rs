//! Middleware for every request: request id, metrics and panic handling.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

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
use tracing::{Instrument as _, Span};

use super::Console;
use super::access_log::{AccessLogEntry, loggable_path};
use super::compression::compress_response;
use super::connection::{RequestInProgress, TrackedBody};
use super::documentation;
use super::problem::Problem;
use super::request_ids;
use super::route_metrics::measure;
use crate::services::{Context, ServiceError, within_deadline};
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
    let exchange = Exchange::begin(&mut request);
    let in_progress = RequestInProgress::of(&request);
    // A panic is caught from the first step of the call.
    let handled = exchange.protect(async { next.call(request).await }).await;
    let response = match handled {
        Ok(handled) => exchange.complete(handled?),
        Err(failure) => return Err(exchange.fail(failure)),
    };
    Ok(
        compress_response(response, exchange.check_path == Some(CHECK_PATHS[0]))
            .map_into_boxed_body()
            .map_body(|_, body| TrackedBody::new(body, in_progress)),
    )
}

/// End of a handler without a response.
enum HandlerFailure {
    /// The call missed its deadline.
    GivenUp(ServiceError),
    /// The panic hook has logged the message.
    Panicked,
}

/// Facts of a request that are needed after its handler has consumed it.
struct Exchange {
    id: String,
    method: Method,
    path: Cow<'static, str>,
    /// `None` unless the request is a check.
    check_path: Option<&'static str>,
    span: Span,
    began: Instant,
    /// `None` unless the path is that of a page.
    console: Option<Console>,
    /// Languages that the caller of a page prefers.
    languages: Option<HeaderValue>,
    /// `None` for checks, which are never dropped.
    context: Option<web::Data<Context>>,
}

impl Exchange {
    /// Takes the facts, and changes the request to the one that its handler expects.
    fn begin(request: &mut ServiceRequest) -> Self {
        let id = request_id_from(request);
        trim_trailing_slash(request);
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
        let console = Console::has_page(&path)
            .then(|| request.app_data::<Console>().copied())
            .flatten();
        Self {
            languages: console.and_then(|_| request.headers().get(ACCEPT_LANGUAGE).cloned()),
            context: match check_path {
                None => request.app_data::<web::Data<Context>>().cloned(),
                Some(_) => None,
            },
            id,
            method,
            path,
            check_path,
            span,
            began: timer::now(),
            console,
        }
    }

    /// Runs the handler with a deadline, and catches its panic. A check needs no deadline because it does not use the
    /// database. The gateway's push, on the same paths, has its own response to a missed deadline.
    async fn protect<T>(&self, handler: impl Future<Output = T>) -> Result<T, HandlerFailure> {
        let handler = async {
            if self.check_path.is_some() {
                return Ok(handler.await);
            }
            within_deadline(handler).await.map_err(HandlerFailure::GivenUp)
        };
        AssertUnwindSafe(handler)
            .catch_unwind()
            .instrument(self.span.clone())
            .await
            .unwrap_or(Err(HandlerFailure::Panicked))
    }

    /// Logs and measures the response of the handler, and completes its headers.
    fn complete<B>(&self, mut response: ServiceResponse<B>) -> ServiceResponse<B> {
        let route = match self.check_path {
            Some(path) => Cow::Borrowed(path),
            None => response
                .request()
                .match_pattern()
                .map_or(Cow::Borrowed("none"), Cow::Owned),
        };
        let path = loggable_path(&self.path, &route);
        self.record(path, &route, response.status(), Some(response.request()));
        // Routes match the decoded path, which cannot be derived from the raw path.
        let place = if route == "none" { &*self.path } else { &*route };
        add_common_headers(response.headers_mut(), &self.id, place);
        if is_draining(response.request().app_data()) {
            let head = response.response_mut().head_mut();
            head.set_connection_type(ConnectionType::Close);
        }
        if place == "/docs" || place.starts_with("/docs/") {
            documentation::add_page_headers(&mut response);
        }
        response
    }

    /// Logs and measures a failed handler, and returns the response as an error.
    fn fail(&self, failure: HandlerFailure) -> Error {
        let (end, problem) = match failure {
            HandlerFailure::GivenUp(error) => {
                let problem = self.span.in_scope(|| Problem::of_call(&self.method, error));
                ("given up", problem)
            }
            HandlerFailure::Panicked => ("panicked", Problem::internal()),
        };
        self.record(&self.path, end, problem.status_code(), None);
        let languages = self.languages.as_ref().and_then(|header| header.to_str().ok());
        let mut response = self.console.map_or_else(
            || problem.error_response(),
            |console| (console.failure_page)(languages.unwrap_or_default(), &problem),
        );
        add_common_headers(response.headers_mut(), &self.id, &self.path);
        if is_draining(self.context.as_ref()) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        InternalError::from_response(problem, response).into()
    }

    fn record(&self, path: &str, route: &str, status: StatusCode, request: Option<&HttpRequest>) {
        let took = self.began.elapsed();
        let entry = AccessLogEntry {
            method: &self.method,
            path,
            route,
            status,
            took,
        };
        self.span.in_scope(|| entry.log(request));
        measure(&self.method, route, status, took);
    }
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
fn add_common_headers(headers: &mut HeaderMap, id: &str, path: &str) {
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
