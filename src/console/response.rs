//! Responses of the console.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, HeaderMap, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, VARY, X_FRAME_OPTIONS,
};
use askama::Template;

use super::page_error::PageError;

/// Everything comes from this server, nothing is inline, and no other site may frame a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Responds with a page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Result<HttpResponse, PageError> {
    let text = page.render()?;
    Ok(HttpResponse::build(status)
        .content_type(ContentType::html())
        .body(text))
}

pub(super) fn see_other(target: &str) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, target.to_owned()));
    response.finish()
}

/// Adds the headers of every page, file and download of the console.
pub(super) fn add_page_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        CROSS_ORIGIN_OPENER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    }
}
