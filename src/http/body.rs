//! Bodies: JSON only, limited in size, read strictly.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::fields::explain_serde;
use super::object::Object;
use super::problem::{Problem, ProblemCode};
use crate::catalog::field::FieldError;
use crate::services::suspend_deadline;

/// Most bodies: 1 MiB.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Org directories, imports and pushes: 16 MiB.
pub(super) const MAX_BULK_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What a call takes as its body.
pub(super) trait FromBody: Sized {
    /// `None` for calls without a body: what is sent is not read.
    const MAX_BYTES: Option<usize>;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem>;
}

/// No body.
impl FromBody for () {
    const MAX_BYTES: Option<usize> = None;

    fn from_bytes(_: &[u8]) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON body as a `T`; unknown and repeated members are refused by `T`'s own attributes.
pub(super) struct Json<T, const MAX: usize = MAX_BODY_BYTES> {
    pub(super) value: T,
    /// Digest of the bytes as sent.
    pub(super) hash: String,
}

impl<T: DeserializeOwned, const MAX: usize> FromBody for Json<T, MAX> {
    const MAX_BYTES: Option<usize> = Some(MAX);

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Ok(Self {
            value: parse_json(bytes)?,
            hash: hex::encode(Sha256::digest(bytes)),
        })
    }
}

/// Reads a whole body of the right type and size.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: &mut Payload,
    max_bytes: usize,
) -> Result<Bytes, Problem> {
    require_identity(request.headers()).map_err(|coding| {
        let detail = format!("the body's Content-Encoding {coding} is not decoded; send the body as it is");
        Problem::new(ProblemCode::UnsupportedMediaType, detail)
    })?;
    require_json(request)?;
    collect(payload, max_bytes).await.map_err(|error| match error {
        BodyError::BrokeOff => body_error("broke off before its end"),
        BodyError::TooLarge => {
            let detail = format!("the body is larger than {max_bytes} bytes");
            Problem::new(ProblemCode::TooLarge, detail)
        }
    })
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    BrokeOff,
    TooLarge,
}

/// The bytes of a whole body. Most arrive in one piece, which is not copied.
pub(super) async fn collect(payload: &mut Payload, max_bytes: usize) -> Result<Bytes, BodyError> {
    // The deadline is for the database, not for a slow sender.
    let _suspended = suspend_deadline();
    let Some(first) = next_piece(payload, max_bytes).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next_piece(payload, max_bytes - first.len()).await? else {
        return Ok(first);
    };
    let mut bytes = BytesMut::from(first);
    bytes.extend_from_slice(&second);
    while let Some(piece) = next_piece(payload, max_bytes - bytes.len()).await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

async fn next_piece(payload: &mut Payload, max_bytes: usize) -> Result<Option<Bytes>, BodyError> {
    match payload.next().await {
        None => Ok(None),
        Some(Err(_)) => Err(BodyError::BrokeOff),
        Some(Ok(piece)) if piece.len() > max_bytes => Err(BodyError::TooLarge),
        Some(Ok(piece)) => Ok(Some(piece)),
    }
}

/// No coding of a body is undone (RFC 9110, section 8.4), so that no small body becomes a large one. The error is the
/// coding that is asked for.
pub(super) fn require_identity(headers: &HeaderMap) -> Result<(), String> {
    for header in headers.get_all(CONTENT_ENCODING) {
        let codings = String::from_utf8_lossy(header.as_bytes());
        let mut codings = codings.split(',').map(str::trim);
        let other = codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        if let Some(coding) = other {
            return Err(coding.chars().take(32).collect());
        }
    }
    Ok(())
}

/// RFC 9110, section 8.3: a body without a type may be taken for what is expected.
fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let Some(header) = request.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = header
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim();
    let suffix = essence.rsplit_once('+').map_or("", |(_, suffix)| suffix);
    if essence.eq_ignore_ascii_case("application/json") || suffix.eq_ignore_ascii_case("json") {
        Ok(())
    } else {
        Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            "send the body as Content-Type: application/json",
        ))
    }
}

/// A body is one object. An empty one counts as `{}`, so that verbs without arguments need none.
pub(super) fn parse_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Problem> {
    let text = if bytes.trim_ascii().is_empty() {
        b"{}"
    } else {
        bytes
    };
    // Following the path of each member takes time, and only an error needs it.
    match std::str::from_utf8(text).map(serde_json::from_str) {
        Ok(Ok(Object(value))) => Ok(value),
        _ => parse_json_for_its_error(text),
    }
}

fn parse_json_for_its_error<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Object(value) = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Problem::invalid(vec![explain_serde(&error)]))?;
    reader
        .end()
        .map_err(|error| body_error(&format!("is not one JSON value: {error}")))?;
    Ok(value)
}

fn body_error(message: &str) -> Problem {
    Problem::invalid(vec![FieldError::invalid("body", message)])
}
