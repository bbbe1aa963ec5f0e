//! Compression of responses, only with a coding that `Accept-Encoding` names. Several clients neither request one nor
//! can decode it.

use std::io::Write;

use actix_web::HttpRequest;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, Header, HeaderMap,
    HeaderValue, Preference, Quality, VARY,
};
use actix_web::web::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Smallest body that is compressed. A smaller one fits into one packet either way.
const MIN_BYTES: usize = 256;
/// Largest body that is compressed while other requests wait, in about 10 ms.
const MAX_BYTES: usize = 1024 * 1024;
/// Responses are small and the client is waiting, so speed matters more than the ratio.
const ZSTD_LEVEL: i32 = 1;

/// Codings of the server's own APIs, in the order of preference.
pub(super) const CODINGS: [Coding; 2] = [Coding::Zstd, Coding::Gzip];

/// Content coding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Gzip,
}

impl Coding {
    /// Returns the first of the codings with the highest weight above 0 among those that `Accept-Encoding` names
    /// (RFC 9110, section 12.5.3).
    pub(super) fn accepted_by(request: &HttpRequest, codings: &[Self]) -> Option<Self> {
        if !request.headers().contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let accepted = AcceptEncoding::parse(request).ok()?;
        let weight = |coding: Self| {
            let named = Preference::Specific(coding.encoding());
            let choices = accepted.iter().filter(|choice| choice.item == named);
            choices
                .map(|choice| choice.quality)
                .max()
                .unwrap_or(Quality::ZERO)
        };
        let accepted = codings
            .iter()
            .copied()
            .filter(|coding| weight(*coding) > Quality::ZERO);
        // Of equal weights `max_by_key` returns the last.
        accepted.rev().max_by_key(|coding| weight(*coding))
    }

    fn encoding(self) -> Encoding {
        match self {
            Self::Zstd => Encoding::zstd(),
            Self::Gzip => Encoding::gzip(),
        }
    }

    /// Compresses a body.
    pub(super) fn encode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL).expect("writing to memory does not fail"),
            Self::Gzip => gzip(body),
        }
    }

    pub(super) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        })
    }
}

/// Compresses a body with gzip.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// Compresses a JSON response that is in memory as a whole, if the client accepts it. Streams are never compressed. An
/// object with a strong entity tag is not compressed either: a client sends that tag back in `If-Match`, and it names
/// the object's bytes. A check's tag becomes weak, which is sufficient for `If-None-Match`.
pub(super) fn compress_response<B: MessageBody>(
    mut response: ServiceResponse<B>,
    is_check: bool,
) -> ServiceResponse<EitherBody<B, Bytes>> {
    let headers = response.headers();
    let is_compressible = (is_json(headers) || response.status() == StatusCode::NOT_MODIFIED)
        && (is_check || !headers.contains_key(ETAG));
    // A response with `Vary` has chosen its coding itself.
    if !is_compressible || headers.contains_key(VARY) {
        return response.map_into_left_body();
    }
    let vary = HeaderValue::from_static("Accept-Encoding");
    response.headers_mut().insert(VARY, vary);
    let Some(coding) = Coding::accepted_by(response.request(), &CODINGS) else {
        return response.map_into_left_body();
    };
    response.map_body(|head, body| match body.try_into_bytes() {
        Ok(bytes) if (MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) => {
            let headers = head.headers_mut();
            headers.insert(CONTENT_ENCODING, coding.header());
            if let Some(weak) = headers.get(ETAG).and_then(weak_form_of) {
                headers.insert(ETAG, weak);
            }
            EitherBody::right(Bytes::from(coding.encode(&bytes)))
        }
        Ok(bytes) => EitherBody::right(bytes),
        Err(body) => EitherBody::left(body),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|text| text.starts_with(b"application/json"))
}

fn weak_form_of(tag: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn gzip_must_be_named_with_a_weight() {
        for (header, accepted) in [
            ("gzip", true),
            ("deflate, gzip;q=0.1", true),
            ("br;q=1.0, GZIP;q=0.5, *;q=0", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, deflate", false),
            ("gzip;q=x", false),
            ("deflate, br, zstd", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_ENCODING, header));
            let chosen = Coding::accepted_by(&request.to_http_request(), &[Coding::Gzip]);
            assert_eq!(chosen.is_some(), accepted, "{header}");
        }
        let without = TestRequest::default().to_http_request();
        assert_eq!(Coding::accepted_by(&without, &CODINGS), None);
    }

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen() {
        for (header, chosen) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("zstd;q=0.5, gzip", Some(Coding::Gzip)),
            ("zstd;q=0, gzip;q=0", None),
            ("*", None),
            ("br", None),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_ENCODING, header));
            assert_eq!(
                Coding::accepted_by(&request.to_http_request(), &CODINGS),
                chosen,
                "{header}"
            );
        }
    }
}
