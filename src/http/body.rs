//! Request bodies: JSON only, limited in size and time, parsed strictly.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::web::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::body_memory::{BodyMemory, Owner, Reservation};
use super::body_reader::{BodyError, BodyReader, PROGRESS_TIMEOUT, TOTAL_TIMEOUT};
use super::fields::field_error_from_serde;
use super::object::Object;
use super::problem::{Problem, ProblemCode};
use slipway_domain::catalog::field::FieldError;

/// Size limit of most bodies: 1 MiB.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Size limit of org directories, imports and pushes: 16 MiB.
pub(crate) const MAX_BULK_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Type that a handler reads from the request body.
pub(super) trait FromBody: Sized {
    /// Maximum body size in bytes. 0 for requests without a body; any content is then read and discarded.
    const MAX_BYTES: usize;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem>;

    /// Returns true if the call stops offers to devices or revokes a credential. Urgent calls do not wait behind other
    /// calls.
    fn is_urgent(&self) -> bool {
        false
    }
}

/// JSON body of a call that may be urgent.
pub(super) trait RequestPriority {
    fn is_urgent(&self) -> bool;
}

/// Empty body.
impl FromBody for () {
    const MAX_BYTES: usize = 0;

    fn from_bytes(_: &[u8]) -> Result<Self, Problem> {
        Ok(())
    }
}

/// JSON body as a `T`. The attributes of `T` reject unknown and repeated members.
pub(super) struct Json<T, const MAX: usize = MAX_BODY_BYTES> {
    pub(super) value: T,
    /// SHA-256 digest of the raw bytes.
    pub(super) hash: String,
}

impl<T: DeserializeOwned, const MAX: usize> FromBody for Json<T, MAX> {
    const MAX_BYTES: usize = MAX;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Ok(Self {
            value: parse_json(bytes)?,
            hash: hex::encode(Sha256::digest(bytes)),
        })
    }
}

/// Body of a call that is always urgent.
pub(super) struct UrgentBody<B = ()>(B);

/// Body of a call whose urgency depends on its content.
pub(super) struct PrioritizedJson<T>(Json<T>);

impl<B: FromBody> FromBody for UrgentBody<B> {
    const MAX_BYTES: usize = B::MAX_BYTES;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        B::from_bytes(bytes).map(Self)
    }

    fn is_urgent(&self) -> bool {
        true
    }
}

impl<T: DeserializeOwned + RequestPriority> FromBody for PrioritizedJson<T> {
    const MAX_BYTES: usize = MAX_BODY_BYTES;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Json::from_bytes(bytes).map(Self)
    }

    fn is_urgent(&self) -> bool {
        self.0.value.is_urgent()
    }
}

impl<T: Default, const MAX: usize> Json<T, MAX> {
    /// Takes the parsed value out of the body.
    pub(super) fn take(&mut self) -> T {
        std::mem::take(&mut self.value)
    }
}

impl<T: Default> UrgentBody<Json<T>> {
    /// Takes the parsed value out of the body.
    pub(super) fn take(&mut self) -> T {
        self.0.take()
    }
}

impl<T: Default> PrioritizedJson<T> {
    /// Takes the parsed value out of the body.
    pub(super) fn take(&mut self) -> T {
        self.0.take()
    }
}

/// Complete body.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// True if the body arrived after the head. Conditions checked earlier may then have changed.
    pub(crate) arrived_late: bool,
    /// Reserved memory, to be held as long as the body.
    pub(crate) memory: Option<Reservation>,
}

/// Reads a complete body and checks its type and size.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: &mut Payload,
    owner: Owner,
    max_bytes: usize,
) -> Result<Body, Problem> {
    if max_bytes == 0 {
        return discard_body(request, payload).await;
    }
    require_identity(request.headers()).map_err(|coding| {
        let detail = format!("Content-Encoding {coding} is not supported; send the body without it");
        Problem::new(ProblemCode::UnsupportedMediaType, detail)
    })?;
    require_json(request)?;
    read_to_end(payload, || owner, max_bytes)
        .await
        .map_err(|error| into_problem(error, max_bytes))
}

/// Reads the complete body of an HTML form.
pub(crate) async fn read_form_body(
    request: &HttpRequest,
    payload: &mut Payload,
    owner: Owner,
    max_bytes: usize,
) -> Result<Body, Problem> {
    require_identity(request.headers()).map_err(|coding| {
        let detail = format!("Content-Encoding {coding} is not supported; send the form without it");
        Problem::new(ProblemCode::UnsupportedMediaType, detail)
    })?;
    read_to_end(payload, || owner, max_bytes)
        .await
        .map_err(|error| into_problem(error, max_bytes))
}

/// Reads and discards the body of a request that takes none.
async fn discard_body(request: &HttpRequest, payload: &mut Payload) -> Result<Body, Problem> {
    let mut reader = BodyReader::new(payload);
    let mut read = 0;
    if has_body(request) {
        while let Some(piece) = reader
            .next(MAX_BODY_BYTES - read)
            .await
            .map_err(|error| into_problem(error, MAX_BODY_BYTES))?
        {
            read += piece.len();
        }
    }
    Ok(Body {
        bytes: Bytes::new(),
        arrived_late: reader.has_waited,
        memory: None,
    })
}

fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}

fn into_problem(error: BodyError, max_bytes: usize) -> Problem {
    match error {
        BodyError::Incomplete => body_error("ended prematurely"),
        BodyError::TooLarge => {
            let detail = format!("the body is larger than {max_bytes} bytes");
            Problem::new(ProblemCode::TooLarge, detail)
        }
        BodyError::TooSlow => Problem::new(
            ProblemCode::RequestTimeout,
            format!(
                "the body did not arrive in time; it may pause for at most {} s and take at most {} s in total",
                PROGRESS_TIMEOUT.as_secs(),
                TOTAL_TIMEOUT.as_secs()
            ),
        ),
        BodyError::NoMemory => Problem::busy(
            "the memory for slow request bodies is exhausted; retry later and send the body without pauses",
        ),
    }
}

/// Reads the bytes of a complete body. Most bodies arrive in one piece, which is neither copied nor charged to an
/// owner, because it is kept only during the call.
pub(super) async fn read_to_end(
    payload: &mut Payload,
    owner: impl Fn() -> Owner,
    max_bytes: usize,
) -> Result<Body, BodyError> {
    let mut reader = BodyReader::new(payload);
    let first = reader.next(max_bytes).await?.unwrap_or_default();
    let mut memory = None;
    let mut bytes = BytesMut::new();
    let mut read = first.len();
    let whole = loop {
        if reader.is_waiting() {
            let kept = memory.get_or_insert_with(|| BodyMemory::global().reserve_for(owner()));
            kept.grow_to(read).map_err(|_| BodyError::NoMemory)?;
        }
        let Some(piece) = reader.next(max_bytes - read).await? else {
            break if bytes.is_empty() { first } else { bytes.freeze() };
        };
        if bytes.is_empty() {
            bytes.extend_from_slice(&first);
        }
        bytes.extend_from_slice(&piece);
        read += piece.len();
    };
    Ok(Body {
        bytes: whole,
        arrived_late: reader.has_waited,
        memory,
    })
}

/// Rejects content codings (RFC 9110, section 8.4), so that a small body cannot expand into a large one. The error is
/// the rejected coding.
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

/// Requires a JSON content type. A body without a type is accepted (RFC 9110, section 8.3).
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

/// Parses a body of one JSON object. An empty body counts as `{}`, so that calls without arguments need no body.
pub(super) fn parse_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Problem> {
    let text = if bytes.trim_ascii().is_empty() {
        b"{}"
    } else {
        bytes
    };
    // Tracking the path of each member takes time, and only an error needs it.
    match std::str::from_utf8(text).map(serde_json::from_str) {
        Ok(Ok(Object(value))) => Ok(value),
        _ => parse_json_for_its_error(text),
    }
}

fn parse_json_for_its_error<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Object(value) = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Problem::invalid(vec![field_error_from_serde(&error)]))?;
    reader
        .end()
        .map_err(|error| body_error(&format!("is not one JSON value: {error}")))?;
    Ok(value)
}

fn body_error(message: &str) -> Problem {
    Problem::invalid(vec![FieldError::invalid("body", message)])
}
