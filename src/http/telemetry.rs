//! What surrounds every request: an id, a log line, metrics, and a net under panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::Problem;

/// Names a request in its answer, in the log and in the audit.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, and measures, logs and protects it. HEAD is GET without the body (RFC 9110, 9.3.2),
/// which the server's encoder leaves out by itself.
pub(super) async fn surround(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = id_of(&request);
    let method = request.method().clone();
    // The gateway has an answer of its own to verbs that it does not know.
    if method == Method::HEAD && !request.path().starts_with("/router/") {
        request.head_mut().method = Method::GET;
    }
    request.extensions_mut().insert(RequestId(id.clone()));
    let path = request.path().to_owned();
    let began = Instant::now();
    let span = tracing::error_span!("request", request.id = %id);
    let answered = AssertUnwindSafe(next.call(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let Ok(answered) = answered else {
        // The panic's own message was logged by the panic hook.
        let problem = Problem::internal();
        span.in_scope(|| log(&method, &path, "panicked", problem.status_code(), began));
        measure(&method, "panicked".to_owned(), problem.status_code(), began);
        let mut response = problem.error_response();
        name(response.headers_mut(), &id);
        return Err(InternalError::from_response(problem, response).into());
    };
    let mut response = answered?;
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "none".to_owned());
    span.in_scope(|| log(&method, &path, &route, response.status(), began));
    measure(&method, route, response.status(), began);
    name(response.headers_mut(), &id);
    Ok(response.map_into_boxed_body())
}

fn name(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The caller's own id where it is a plain word, so that requests can be followed across programs.
fn id_of(request: &ServiceRequest) -> String {
    request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()))
        .filter(|id| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
        .map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}

/// Devices and probes ask all day: their requests are for debugging, people's and pipelines' for the record.
fn log(method: &Method, path: &str, route: &str, status: StatusCode, began: Instant) {
    let duration_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let status = status.as_u16();
    if route.starts_with("/api/") || status >= 500 {
        tracing::info!(%method, path, status, duration_ms, "answered");
    } else {
        tracing::debug!(%method, path, status, duration_ms, "answered");
    }
}

fn measure(method: &Method, route: String, status: StatusCode, began: Instant) {
    let labels = [
        ("method", known_method(method).to_owned()),
        ("route", route),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("slipway_http_requests_total", &labels).increment(1);
    metrics::histogram!("slipway_http_request_duration_seconds", &labels[..2])
        .record(began.elapsed().as_secs_f64());
}

/// A client may invent methods; a label may not grow by them.
fn known_method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}
