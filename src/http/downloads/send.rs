//! Responses with the content of an artifact.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    LOCATION,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::Stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::conditions::{Outcome, Representation, evaluate_conditions, http_date, instant};
use super::ranges::RangeEffect;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::telemetry::is_head;
use crate::services::artifacts::{self, OpenContent, OwnedArtifact};
use crate::services::{Context, ServiceError};
use slipway_domain::catalog::artifact::Artifact;

/// The content of a link never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Characters of an `ext-value` that need no encoding (RFC 8187, section 3.2.1).
const EXT_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Access to a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum DownloadKind {
    /// By its link, for anybody. Caches may keep it.
    Public,
    /// With a credential.
    Private,
}

/// Responds to a GET or HEAD request for the content of an artifact.
pub(in crate::http) async fn send(
    ctx: &Context,
    request: &HttpRequest,
    owned: &OwnedArtifact,
    kind: DownloadKind,
) -> Result<HttpResponse, Problem> {
    let artifact = &owned.artifact.value;
    let content = Representation {
        etag: format!("\"{}\"", artifact.sha256.as_str()),
        last_modified: instant(owned.artifact.created_at.timestamp()),
        length: u64::try_from(artifact.size).unwrap_or_default(),
    };
    let range = match evaluate_conditions(request.headers(), &content) {
        Outcome::PreconditionFailed => return Err(ServiceError::Stale.into()),
        Outcome::NotModified => return Ok(with_validators(StatusCode::NOT_MODIFIED, &content, kind).finish()),
        // Ranges are defined for GET alone (RFC 9110, section 14.2).
        Outcome::Content(_) if is_head(request) => None,
        Outcome::Content(RangeEffect::Unsatisfiable) => return Ok(unsatisfiable(&content)),
        Outcome::Content(RangeEffect::Whole) => None,
        Outcome::Content(RangeEffect::Part(range)) => Some(range),
    };
    // A signed URL is valid for GET alone.
    if kind == DownloadKind::Public
        && !is_head(request)
        && let Some(url) = artifacts::redirect_url(ctx, owned, disposition(artifact)).await?
    {
        return Ok(redirect(url));
    }
    let mut response = describe(artifact, &content, range.as_ref(), kind);
    let range = range.unwrap_or(0..content.length);
    let size = range.end - range.start;
    if is_head(request) {
        return Ok(response.body(SizedStream::new(size, futures_util::stream::empty::<Piece>())));
    }
    let open = artifacts::open(ctx, owned, range.clone()).await?;
    Ok(response.body(SizedStream::new(size, pieces(open, range))))
}

/// Returns the head of a response with content.
fn describe(
    artifact: &Artifact,
    content: &Representation,
    range: Option<&Range<u64>>,
    kind: DownloadKind,
) -> HttpResponseBuilder {
    let status = if range.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let mut response = with_validators(status, content, kind);
    let digest = hex::decode(artifact.sha256.as_str()).unwrap_or_default();
    response
        .insert_header((CONTENT_TYPE, artifact.facts.kind().media_type()))
        .insert_header((CONTENT_DISPOSITION, disposition(artifact)))
        .insert_header(("Repr-Digest", format!("sha-256=:{}:", STANDARD.encode(digest))));
    if let Some(range) = range {
        let (first, last) = (range.start, range.end - 1);
        response.insert_header((CONTENT_RANGE, format!("bytes {first}-{last}/{}", content.length)));
    }
    response
}

fn with_validators(status: StatusCode, content: &Representation, kind: DownloadKind) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((ETAG, content.etag.clone()))
        .insert_header((LAST_MODIFIED, http_date(content.last_modified)))
        .insert_header((ACCEPT_RANGES, "bytes"));
    if kind == DownloadKind::Public {
        response.insert_header((CACHE_CONTROL, IMMUTABLE));
    }
    response
}

fn unsatisfiable(content: &Representation) -> HttpResponse {
    let detail = format!(
        "the file has {} bytes, none of which is in the range",
        content.length
    );
    let mut response = Problem::new(ProblemCode::RangeNotSatisfiable, detail).error_response();
    if let Ok(range) = format!("bytes */{}", content.length).parse() {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

fn redirect(url: String) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, url))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

/// Returns a disposition with the file's name, in ASCII for old clients and as a whole for the others (RFC 8187).
fn disposition(artifact: &Artifact) -> String {
    let name = artifact.filename.as_str();
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let whole = utf8_percent_encode(name, EXT_VALUE);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

type Piece = Result<Bytes, actix_web::Error>;

/// Streams a range. An error ends the connection, so that the client knows that the file is incomplete.
fn pieces(open: OpenContent, range: Range<u64>) -> impl Stream<Item = Piece> {
    futures_util::stream::try_unfold((open, range.start), move |(mut open, offset)| async move {
        if offset >= range.end {
            return Ok(None);
        }
        let piece = open.next_piece(offset, range.end).await.map_err(Problem::from)?;
        let next = offset + piece.len() as u64;
        Ok(Some((piece, (open, next))))
    })
}
