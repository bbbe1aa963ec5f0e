//! HTTP responses of the gateway.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use slipway_gateway::envelope::Format;

use crate::http::compression::Coding;

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
    match Coding::accepted_by(request, &[Coding::Gzip]) {
        Some(coding) => headers
            .insert_header((CONTENT_ENCODING, coding.header()))
            .body(coding.encode(&body)),
        None => headers.body(body),
    }
}
