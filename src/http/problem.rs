//! RFC 9457 problem documents. Errors are mapped to HTTP statuses only in this module.

use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::failure_log::log_failure;
use super::value_schemas::FieldErrorValue;
use crate::services::ServiceError;
use slipway_domain::catalog::field::{FieldError, excerpt};

/// Explanation of an unexpected error.
pub(crate) const INTERNAL_DETAIL: &str =
    "an unexpected error occurred; the server log contains it under the X-Request-Id of this response";

/// Media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! codes {
    ($($name:ident, $text:literal, $status:ident, $title:literal;)*) => {
        /// Stable problem code for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum ProblemCode { $($name,)* }

        impl ProblemCode {
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    InvalidParameter, "invalid_parameter", BAD_REQUEST, "Invalid parameter";
    DigestMismatch, "digest_mismatch", BAD_REQUEST, "Digest mismatch";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "Not authenticated";
    PermissionDenied, "permission_denied", FORBIDDEN, "Permission denied";
    NotFound, "not_found", NOT_FOUND, "Not found";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    AlreadyExists, "already_exists", CONFLICT, "Already exists";
    AlreadyEnrolled, "already_enrolled", CONFLICT, "Already enrolled";
    WrongState, "wrong_state", CONFLICT, "Wrong state";
    VersionConflict, "version_conflict", CONFLICT, "Version conflict";
    SignerChanged, "signer_changed", CONFLICT, "Signer changed";
    UnsafePackage, "unsafe_package", CONFLICT, "Unsafe package";
    IdempotencyKeyInUse, "idempotency_key_in_use", CONFLICT, "Idempotency key in use";
    InUse, "in_use", CONFLICT, "In use";
    SecretAlreadyShown, "secret_already_shown", CONFLICT, "Secret already shown";
    Stale, "stale", PRECONDITION_FAILED, "Stale";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "Request timeout";
    TooLarge, "too_large", PAYLOAD_TOO_LARGE, "Too large";
    RangeNotSatisfiable, "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "Range not satisfiable";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type";
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "Idempotency key reused";
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Rate limited";
    Internal, "internal", INTERNAL_SERVER_ERROR, "Internal error";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "Unavailable";
    InsufficientStorage, "insufficient_storage", INSUFFICIENT_STORAGE, "Insufficient storage";
}

/// RFC 9457 problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// `urn:slipway:problem:` followed by the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'static str,
    #[schema(example = 400)]
    pub status: u16,
    /// Explanation of the problem, and the remedy.
    pub detail: String,
    pub code: ProblemCode,
    /// Invalid fields; empty if the problem does not concern fields.
    pub errors: Vec<ProblemField>,
    /// Id of the object, for `secret_already_shown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    pub id: Option<String>,
}

/// Invalid field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemField {
    #[schema(example = "md5")]
    pub field: String,
    #[schema(value_type = FieldErrorValue, example = "invalid")]
    pub code: &'static str,
    /// Explanation of the error, and the accepted values.
    pub message: String,
}

impl From<FieldError> for ProblemField {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field,
            code: error.code.as_str(),
            message: error.message,
        }
    }
}

/// Error that is returned as a problem document.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {detail}", .code.as_str())]
pub(crate) struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Vec<FieldError>,
    id: Option<String>,
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            id: None,
            retry_after_s: None,
        }
    }

    /// Creates a problem for invalid fields, whose messages are combined in its detail. The response is short,
    /// regardless of the size of the request.
    pub(crate) fn invalid(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_ERRORS);
        for error in &mut errors {
            error.field = excerpt(&error.field).into_owned();
            shorten(&mut error.message, MAX_MESSAGE_CHARACTERS);
        }
        let messages: Vec<_> = errors.iter().map(in_words).collect();
        let mut detail = messages.join("; ");
        shorten(&mut detail, MAX_DETAIL_CHARACTERS);
        Self {
            errors,
            ..Self::new(ProblemCode::InvalidParameter, detail)
        }
    }

    /// Creates a problem for an overloaded node or database.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(5),
            ..Self::new(ProblemCode::Unavailable, detail)
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            ProblemCode::NotFound,
            "the path or object does not exist, or is not accessible; check the path and its ids",
        )
    }

    /// Replaces the explanation, which is then also the error of a field.
    pub(crate) fn at_field(self, field: &str, detail: String) -> Self {
        Self {
            errors: vec![FieldError::invalid(field, detail.clone())],
            detail,
            ..self
        }
    }

    /// Returns the id of the object that the problem names.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(crate) fn code(&self) -> ProblemCode {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn field_errors(&self) -> &[FieldError] {
        &self.errors
    }

    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:slipway:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            errors: self.errors.iter().cloned().map(ProblemField::from).collect(),
            id: self.id.clone(),
        }
    }
}

/// Maximum number of field errors in a response. A request with more errors repeats the same mistake.
pub(crate) const MAX_ERRORS: usize = 100;
/// Maximum length of a field's message. The longest list of accepted values fits.
const MAX_MESSAGE_CHARACTERS: usize = 1_000;
/// Maximum length of the combined messages.
const MAX_DETAIL_CHARACTERS: usize = 4_000;

/// Truncates a text to a number of characters.
fn shorten(text: &mut String, max_characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(max_characters) {
        text.truncate(end);
        text.push('…');
    }
}

/// Returns the message, preceded by the field's name unless it begins with it.
fn in_words(error: &FieldError) -> String {
    if error.message.starts_with(&error.field) {
        error.message.clone()
    } else {
        format!("{} {}", error.field, error.message)
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        use ProblemCode as Code;
        log_failure(&error);
        let detail = error.to_string();
        match error {
            ServiceError::Invalid(errors) => Self::invalid(errors),
            ServiceError::Unauthenticated(_) => Self::new(Code::Unauthenticated, detail),
            ServiceError::PermissionDenied(_) => Self::new(Code::PermissionDenied, detail),
            // The responses for another tenant's object and for an absent object must be identical in every byte.
            ServiceError::NotFound(_) => Self::not_found(),
            ServiceError::AlreadyExists(_) => Self::new(Code::AlreadyExists, detail),
            ServiceError::AlreadyEnrolled(_) => Self::new(Code::AlreadyEnrolled, detail),
            ServiceError::WrongState { fields, .. } => Self {
                errors: fields,
                ..Self::new(Code::WrongState, detail)
            },
            ServiceError::SignerChanged(_) => Self::new(Code::SignerChanged, detail),
            ServiceError::UnsafePackage(_) => Self::new(Code::UnsafePackage, detail),
            ServiceError::VersionConflict(_) => Self::new(Code::VersionConflict, detail),
            ServiceError::ReleaseDiffers { id, .. } => Self {
                id: Some(id.to_string()),
                ..Self::new(Code::VersionConflict, detail)
            },
            ServiceError::Stale => Self::new(Code::Stale, detail),
            ServiceError::IdempotencyKeyReused => Self::new(Code::IdempotencyKeyReused, detail),
            ServiceError::IdempotencyKeyInUse => Self::new(Code::IdempotencyKeyInUse, detail),
            ServiceError::SecretAlreadyShown { id } => Self {
                id: Some(id),
                ..Self::new(Code::SecretAlreadyShown, detail)
            },
            ServiceError::RateLimited { retry_after_s, .. } => Self {
                retry_after_s: Some(retry_after_s),
                ..Self::new(Code::RateLimited, detail)
            },
            ServiceError::Unavailable { .. } | ServiceError::InDoubt(_) | ServiceError::GivenUp { .. } => {
                Self::busy(detail)
            }
            ServiceError::Busy { retry_after_s } => Self {
                retry_after_s: Some(retry_after_s),
                ..Self::new(Code::Unavailable, detail)
            },
            ServiceError::TooLarge { .. } => Self::new(Code::TooLarge, detail),
            ServiceError::InsufficientStorage(_) => Self::new(Code::InsufficientStorage, detail),
            ServiceError::DigestMismatch { .. } => Self::new(Code::DigestMismatch, detail),
            ServiceError::InUse(_) => Self::new(Code::InUse, detail),
            ServiceError::StoreUnavailable(_) => Self::busy(detail),
            ServiceError::NoCatalog => Self {
                retry_after_s: Some(1),
                ..Self::new(Code::Unavailable, detail)
            },
            ServiceError::Internal(_) => Self::internal(),
        }
    }
}

impl Problem {
    /// Creates the problem for a call that the database did not complete in time.
    pub(crate) fn of_call(method: &Method, error: ServiceError) -> Self {
        let problem = Self::from(error);
        if method.is_safe() {
            let detail = "the database did not respond in time; retry later".to_owned();
            return Self { detail, ..problem };
        }
        problem
    }

    /// Creates a problem without the cause, which is logged under the request id.
    pub(crate) fn internal() -> Self {
        Self::new(ProblemCode::Internal, INTERNAL_DETAIL)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.code == ProblemCode::RequestTimeout {
            // The connection is closed instead of waiting for the rest of the body.
            response.force_close();
        }
        if self.code == ProblemCode::UnsupportedMediaType {
            response.insert_header((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        }
        if self.code == ProblemCode::Unauthenticated {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        response.body(serde_json::to_string(&self.document()).unwrap_or_default())
    }
}
