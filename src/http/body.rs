//! Bodies: JSON only, limited in size and time, read strictly.

use std::task::Poll;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::body_memory::{BodyMemory, Owner};
use super::fields::explain_serde;
use super::object::Object;
use super::problem::{Problem, ProblemCode};
use crate::catalog::field::FieldError;
use crate::services::{Suspended, suspend_deadline};

/// Most bodies: 1 MiB.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Org directories, imports and pushes: 16 MiB.
pub(super) const MAX_BULK_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Without another byte for so long a body is given up.
const PROGRESS_WITHIN: Duration = Duration::from_secs(10);
/// How long a body may take in all.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);

/// What a call takes as its body.
pub(super) trait FromBody: Sized {
    /// The largest body; 0 for calls that take none, where what is sent must be empty or is passed over.
    const MAX_BYTES: usize;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem>;

    /// Whether the call stops devices from being offered something, or takes a credential away. Such a call does not
    /// wait behind others.
    fn is_urgent(&self) -> bool {
        false
    }
}

/// A JSON body of a call that may be urgent.
pub(super) trait MayBeUrgent {
    fn is_urgent(&self) -> bool;
}

/// No body.
impl FromBody for () {
    const MAX_BYTES: usize = 0;

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
    const MAX_BYTES: usize = MAX;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Ok(Self {
            value: parse_json(bytes)?,
            hash: hex::encode(Sha256::digest(bytes)),
        })
    }
}

/// The body of a call that is always urgent.
pub(super) struct Urgent<B = ()>(B);

/// The body of a call that is urgent by what it says.
pub(super) struct ClassifiedJson<T>(Json<T>);

impl<B: FromBody> FromBody for Urgent<B> {
    const MAX_BYTES: usize = B::MAX_BYTES;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        B::from_bytes(bytes).map(Self)
    }

    fn is_urgent(&self) -> bool {
        true
    }
}

impl<T: DeserializeOwned + MayBeUrgent> FromBody for ClassifiedJson<T> {
    const MAX_BYTES: usize = MAX_BODY_BYTES;

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Json::from_bytes(bytes).map(Self)
    }

    fn is_urgent(&self) -> bool {
        self.0.value.is_urgent()
    }
}

impl<B> Urgent<B> {
    pub(super) fn get_mut(&mut self) -> &mut B {
        &mut self.0
    }
}

impl<T> ClassifiedJson<T> {
    pub(super) fn get_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

/// A whole body.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Whether it arrived later than the head, so that what was known then may have changed.
    pub(super) was_awaited: bool,
    /// The memory that it takes, for as long as it is kept.
    _memory: Option<super::body_memory::Reservation>,
}

/// Reads a whole body of the right type and size.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: &mut Payload,
    owner: Owner,
    max_bytes: usize,
) -> Result<Body, Problem> {
    if max_bytes == 0 {
        return pass_over(request, payload).await;
    }
    require_identity(request.headers()).map_err(|coding| {
        let detail = format!("the body's Content-Encoding {coding} is not decoded; send the body as it is");
        Problem::new(ProblemCode::UnsupportedMediaType, detail)
    })?;
    require_json(request)?;
    collect(payload, || owner, max_bytes)
        .await
        .map_err(|error| problem_of(error, max_bytes))
}

/// Reads what is sent to a call that takes no body, without keeping it.
async fn pass_over(request: &HttpRequest, payload: &mut Payload) -> Result<Body, Problem> {
    let mut reader = PacedReader::new(payload);
    let mut read = 0;
    if is_announced(request) {
        while let Some(piece) = reader
            .next(MAX_BODY_BYTES - read)
            .await
            .map_err(|error| problem_of(error, MAX_BODY_BYTES))?
        {
            read += piece.len();
        }
    }
    Ok(Body {
        bytes: Bytes::new(),
        was_awaited: reader.has_waited,
        _memory: None,
    })
}

fn is_announced(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}

fn problem_of(error: BodyError, max_bytes: usize) -> Problem {
    match error {
        BodyError::BrokeOff => body_error("broke off before its end"),
        BodyError::TooLarge => {
            let detail = format!("the body is larger than {max_bytes} bytes");
            Problem::new(ProblemCode::TooLarge, detail)
        }
        BodyError::TooSlow => Problem::new(
            ProblemCode::RequestTimeout,
            format!(
                "the body did not arrive in time: send it without pauses of {} s, and within {} s in all",
                PROGRESS_WITHIN.as_secs(),
                WHOLE_WITHIN.as_secs()
            ),
        ),
        BodyError::NoMemory => Problem::busy(
            "this node holds as many unfinished bodies as it may; send the body without pauses, later",
        ),
    }
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    BrokeOff,
    TooLarge,
    /// It made no progress for too long, or took too long in all.
    TooSlow,
    /// Bodies that arrive slowly take as much memory as they may.
    NoMemory,
}

/// Reads the bytes of a whole body. Most arrive in one piece, which is not copied and counts as nobody's memory: it is
/// kept for the moment that a call takes.
pub(super) async fn collect(
    payload: &mut Payload,
    owner: impl Fn() -> Owner,
    max_bytes: usize,
) -> Result<Body, BodyError> {
    let mut reader = PacedReader::new(payload);
    let first = reader.next(max_bytes).await?.unwrap_or_default();
    let mut memory = None;
    let mut bytes = BytesMut::new();
    let mut read = first.len();
    let whole = loop {
        if reader.is_waiting() {
            let kept = memory.get_or_insert_with(|| BodyMemory::of_the_node().reserve_for(owner()));
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
        was_awaited: reader.has_waited,
        _memory: memory,
    })
}

/// Reads a body piece by piece and keeps the time. A body that has arrived costs no timer.
struct PacedReader<'p> {
    payload: &'p mut Payload,
    /// Asked for ahead, to see whether there is something to wait for.
    next: Poll<Option<Result<Bytes, BodyError>>>,
    began: Option<Instant>,
    has_waited: bool,
    /// The deadline of the call is for the database, not for a slow sender.
    _suspended: Suspended,
}

impl<'p> PacedReader<'p> {
    fn new(payload: &'p mut Payload) -> Self {
        Self {
            payload,
            next: Poll::Pending,
            began: None,
            has_waited: false,
            _suspended: suspend_deadline(),
        }
    }

    /// Whether the next piece, or the end, has not arrived yet.
    fn is_waiting(&mut self) -> bool {
        if self.next.is_pending()
            && let Some(piece) = self.payload.next().now_or_never()
        {
            self.next = Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::BrokeOff)));
        }
        self.next.is_pending()
    }

    /// The next piece, `None` at the end.
    async fn next(&mut self, max_bytes: usize) -> Result<Option<Bytes>, BodyError> {
        if self.is_waiting() {
            self.has_waited = true;
            let piece = self.wait().await?;
            self.next = Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::BrokeOff)));
        }
        let next = std::mem::replace(&mut self.next, Poll::Pending);
        let Poll::Ready(Some(piece)) = next else {
            return Ok(None);
        };
        let piece = piece?;
        if piece.len() > max_bytes {
            return Err(BodyError::TooLarge);
        }
        Ok(Some(piece))
    }

    async fn wait(&mut self) -> Result<Option<Result<Bytes, actix_web::error::PayloadError>>, BodyError> {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let deadline = (now + PROGRESS_WITHIN).min(began + WHOLE_WITHIN);
        timeout_at(deadline, self.payload.next())
            .await
            .map_err(|_| BodyError::TooSlow)
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
