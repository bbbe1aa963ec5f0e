//! HTTP responses of the gateway.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use slipway_gateway::envelope::Format;

use crate::http::compression::{accepts_gzip, gzip};

/// Builds the HTTP response. The body is compressed if the client accepts gzip.
pub(super) fn respond(
    request: &HttpRequest,
    mut headers: HttpResponseBuilder,
    format: Format,
    body: Vec<u8>,
) -> HttpResponse {
    headers
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(format.content_type())))
        .insert_header((VARY, HeaderValue::from_static("Accept-Encoding")));
    if accepts_gzip(request) {
        headers
            .insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")))
            .body(gzip(&body))
    } else {
        headers.body(body)
    }
}
