//! gzip for responses, only if `Accept-Encoding` names it. Several clients neither request it nor can decode it.

use std::io::Write;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptEncoding, Encoding, Header, Preference, Quality};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Returns true if `Accept-Encoding` names gzip with a weight above 0 (RFC 9110, section 12.5.3).
pub(super) fn accepts_gzip(request: &HttpRequest) -> bool {
    let gzip = Preference::Specific(Encoding::gzip());
    AcceptEncoding::parse(request).is_ok_and(|accepted| {
        accepted
            .iter()
            .any(|choice| choice.item == gzip && choice.quality > Quality::ZERO)
    })
}

/// Compresses a body. Responses are small and the client is waiting, so speed matters more than the ratio.
pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT_ENCODING;
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
            assert_eq!(accepts_gzip(&request.to_http_request()), accepted, "{header}");
        }
        assert!(!accepts_gzip(&TestRequest::default().to_http_request()));
    }
}
