//! Body of an upload: a file as the body itself, or as one part of `multipart/form-data`. It is passed on while it
//! arrives.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep_until};

use super::authenticated_request::AuthenticatedRequest;
use super::body::require_identity;
use super::call_body::{AcceptedBody, CallBody};
use super::problem::{Problem, ProblemCode};
use crate::services::artifacts::{ReceivedFile, Upload};
use crate::services::{ServiceError, suspend_deadline};
use crate::timer;
use slipway_domain::catalog::field::FieldError;

/// Maximum time in which [`PROGRESS_BYTES`] must arrive. Time in which the server is busy does not count.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that count as progress. Without a minimum, a client that sends single bytes would hold a permit for days.
const PROGRESS_BYTES: usize = 64 * 1024;
/// Bytes that a multipart body may have in addition to the file.
pub(super) const MULTIPART_OVERHEAD: u64 = 64 * 1024;

/// Upload whose body has not been read.
pub(super) struct UploadBody {
    payload: Option<Payload>,
    /// `true` for `multipart/form-data`.
    is_form: bool,
    has_content_type: bool,
    /// Length of the body; `None` if it is sent in chunks.
    length: Option<u64>,
    digest: Option<[u8; 32]>,
}

/// File that arrived with a body.
pub(crate) struct UploadedFile {
    pub(crate) received: ReceivedFile,
    /// Name in the form, if it has one.
    pub(crate) filename: Option<String>,
    /// SHA-256 that the client expects.
    pub(crate) digest: Option<[u8; 32]>,
}

impl CallBody for UploadBody {
    type Raw = Payload;

    async fn read(request: &mut AuthenticatedRequest) -> Result<Payload, Problem> {
        Ok(request.take_payload())
    }

    async fn accept(payload: Payload, request: &AuthenticatedRequest) -> Result<AcceptedBody<Self>, Problem> {
        let body = Self::of(&request.request, payload)?;
        Ok(AcceptedBody {
            body,
            is_urgent: false,
            permit: Some(request.acquire_upload_permit()?),
            memory: None,
        })
    }
}

impl UploadBody {
    fn of(request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let headers = request.headers();
        require_uncoded(headers, "file")?;
        let is_form = is_form(headers);
        let digest = read_digest(headers)?;
        if is_form && digest.is_some() {
            return Err(Problem::invalid(vec![FieldError::invalid(
                "Repr-Digest",
                "is the digest of the whole form here; send it as a header of the part",
            )]));
        }
        Ok(Self {
            payload: Some(payload),
            is_form,
            has_content_type: headers.contains_key(CONTENT_TYPE),
            length: content_length(headers),
            digest,
        })
    }

    /// Returns the size of the file, at least; `None` if it is not known yet.
    pub(super) fn known_size(&self) -> Option<u64> {
        let overhead = if self.is_form { MULTIPART_OVERHEAD } else { 0 };
        Some(self.length?.saturating_sub(overhead))
    }

    /// Receives the file into an upload, up to a size.
    pub(super) async fn receive(
        &mut self,
        request: &HttpRequest,
        upload: Upload,
        max_bytes: u64,
    ) -> Result<UploadedFile, Problem> {
        // The time of a slow sender is limited by the stream.
        let _suspended = suspend_deadline();
        let payload = PacedPayload::new(self.payload.take().unwrap_or(Payload::None));
        if self.is_form {
            return receive_form(request.headers(), payload, upload, max_bytes).await;
        }
        let pieces = payload.map(|piece| piece.map_err(payload_problem));
        let received = receive_all(pieces, upload, max_bytes).await?;
        if received.size == 0 && !self.has_content_type {
            // The sender forgot the body. An empty file has a type.
            return Err(Problem::invalid(vec![FieldError::required("file")]));
        }
        Ok(UploadedFile {
            received,
            filename: None,
            digest: self.digest,
        })
    }
}

/// Requires that `what` is sent without a content coding.
pub(super) fn require_uncoded(headers: &HeaderMap, what: &str) -> Result<(), Problem> {
    require_identity(headers).map_err(|coding| {
        let detail = format!("Content-Encoding {coding} is not supported; send the {what} without it");
        Problem::new(ProblemCode::UnsupportedMediaType, detail)
    })
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// Returns the length of the body; `None` if it is sent in chunks.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the name that a part of a form gives its file.
pub(super) fn filename_of(part: &Field) -> Option<String> {
    let disposition = part.content_disposition()?;
    disposition.get_filename().map(str::to_owned)
}

/// Receives the file part of a form.
async fn receive_form(
    headers: &HeaderMap,
    payload: PacedPayload,
    upload: Upload,
    max_bytes: u64,
) -> Result<UploadedFile, Problem> {
    let mut form = Multipart::new(headers, payload);
    let part = form
        .next()
        .await
        .ok_or_else(|| no_file("must have one part, named file"))?;
    let part = part.map_err(|error| form_problem(&error))?;
    if part.name() != Some("file") {
        return Err(no_file("must have one part, named file"));
    }
    let filename = filename_of(&part);
    let digest = read_digest(part.headers())?;
    let received = receive_part(part, upload, max_bytes).await?;
    require_end(&mut form, "must have no other part than file").await?;
    Ok(UploadedFile {
        received,
        filename,
        digest,
    })
}

/// Requires that a form has no further part.
pub(super) async fn require_end(form: &mut Multipart, message: &str) -> Result<(), Problem> {
    match form.next().await {
        None => Ok(()),
        Some(Ok(_)) => Err(no_file(message)),
        Some(Err(error)) => Err(form_problem(&error)),
    }
}

pub(super) async fn receive_part(
    part: Field,
    upload: Upload,
    max_bytes: u64,
) -> Result<ReceivedFile, Problem> {
    let pieces = part.map(|piece| piece.map_err(|error| form_problem(&error)));
    receive_all(pieces, upload, max_bytes).await
}

async fn receive_all(
    pieces: impl Stream<Item = Result<Bytes, Problem>>,
    mut upload: Upload,
    max_bytes: u64,
) -> Result<ReceivedFile, Problem> {
    let mut pieces = std::pin::pin!(pieces);
    let mut size = 0_u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        if size > max_bytes {
            return Err(ServiceError::TooLarge { limit: max_bytes }.into());
        }
        upload.write(piece).await.map_err(ServiceError::from)?;
    }
    Ok(upload.finish().await.map_err(ServiceError::from)?)
}

pub(super) fn no_file(message: &str) -> Problem {
    Problem::invalid(vec![FieldError::invalid("file", message)])
}

pub(super) fn form_problem(error: &MultipartError) -> Problem {
    match error {
        MultipartError::Payload(PayloadError::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
            too_slow()
        }
        error => no_file(&format!("is not a valid form: {error}")),
    }
}

fn payload_problem(error: PayloadError) -> Problem {
    match error {
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => too_slow(),
        _ => no_file("ended prematurely"),
    }
}

fn too_slow() -> Problem {
    let detail = format!(
        "the file did not arrive in time; each {PROGRESS_BYTES} bytes may take at most {} s",
        PROGRESS_TIMEOUT.as_secs()
    );
    Problem::new(ProblemCode::RequestTimeout, detail)
}

/// Parses the SHA-256 of `Repr-Digest` or `Content-Digest` (RFC 9530), which are equal without a content coding.
fn read_digest(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let mut found = None;
    for name in ["Repr-Digest", "Content-Digest"] {
        for header in headers.get_all(name) {
            let invalid = || {
                let message = "must be sha-256=:<base64>: with 32 bytes (RFC 9530)";
                Problem::invalid(vec![FieldError::invalid(name, message)])
            };
            let text = header.to_str().map_err(|_| invalid())?;
            let Some(digest) = sha256_of(text).map_err(|()| invalid())? else {
                continue;
            };
            if found.is_some_and(|found| found != digest) {
                let message = "differs from the other digest of the request; send one of them";
                return Err(Problem::invalid(vec![FieldError::invalid(name, message)]));
            }
            found = Some(digest);
        }
    }
    Ok(found)
}

/// Returns the SHA-256 in a dictionary of digests, if it has one.
fn sha256_of(dictionary: &str) -> Result<Option<[u8; 32]>, ()> {
    for member in dictionary.split(',') {
        let (name, value) = member.split_once('=').ok_or(())?;
        if !name.trim().eq_ignore_ascii_case("sha-256") {
            continue;
        }
        let encoded = value
            .trim()
            .strip_prefix(':')
            .and_then(|value| value.strip_suffix(':'));
        let bytes = STANDARD.decode(encoded.ok_or(())?).map_err(|_| ())?;
        return bytes.try_into().map(Some).map_err(|_| ());
    }
    Ok(None)
}

/// Body that must make progress while the server waits for it.
pub(super) struct PacedPayload {
    payload: Payload,
    /// Wait in the current window.
    waited: Duration,
    arrived: usize,
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl PacedPayload {
    pub(super) fn new(payload: Payload) -> Self {
        Self {
            payload,
            waited: Duration::ZERO,
            arrived: 0,
            waiting_since: None,
            timer: Box::pin(sleep_until(timer::runtime_now())),
        }
    }
}

impl Stream for PacedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(piece) = Pin::new(&mut self.payload).poll_next(cx) {
            if let Some(since) = self.waiting_since.take() {
                self.waited += timer::runtime_now() - since;
            }
            self.arrived += piece
                .as_ref()
                .and_then(|piece| piece.as_ref().ok())
                .map_or(0, Bytes::len);
            if self.arrived >= PROGRESS_BYTES {
                (self.arrived, self.waited) = (0, Duration::ZERO);
            }
            return Poll::Ready(piece);
        }
        if self.waiting_since.is_none() {
            let now = timer::runtime_now();
            let deadline = now + PROGRESS_TIMEOUT.saturating_sub(self.waited);
            self.waiting_since = Some(now);
            self.timer.as_mut().reset(deadline);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into())))),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_from_dictionaries() {
        let encoded = STANDARD.encode([7; 32]);
        for text in [
            format!("sha-256=:{encoded}:"),
            format!("md5=:AAAA:, sha-256=:{encoded}:"),
            format!(" SHA-256=:{encoded}: , sha-512=:AA==:"),
        ] {
            assert_eq!(sha256_of(&text), Ok(Some([7; 32])), "{text}");
        }
        assert_eq!(sha256_of("sha-512=:AA==:"), Ok(None));
        for text in ["", "sha-256", "sha-256=AA", "sha-256=:AA==:", "sha-256=:%%:"] {
            assert_eq!(sha256_of(text), Err(()), "{text}");
        }
    }
}
