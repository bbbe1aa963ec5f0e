//! Why a use case did not happen. `http::problem` turns each into a response.

use super::CALL_LIMIT;
use crate::access::Refusal;
use crate::catalog::field::FieldError;
use crate::storage::{Cause, StorageError, UniqueKey};

const CREDENTIAL_ENDED: &str = "the credential was revoked, or its role changed, while the request was under way; \
                                nothing was written";

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error("{0}")]
    Unauthenticated(&'static str),
    #[error("{0}")]
    PermissionDenied(String),
    /// Absent, or another tenant's: the caller must not be able to tell.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    AlreadyExists(String),
    /// A device key alone does not enrol an id that holds a token.
    #[error("{0}")]
    AlreadyEnrolled(&'static str),
    /// `fields` are those that the state does not let change.
    #[error("{detail}")]
    WrongState { detail: String, fields: Vec<FieldError> },
    #[error("{0}")]
    VersionConflict(String),
    #[error(
        "the object has changed since it was read; read it again and repeat the change on what it is now"
    )]
    Stale,
    #[error("this Idempotency-Key was used with another body; use a new key for another request")]
    IdempotencyKeyReused,
    #[error("a request with this Idempotency-Key is still being worked on; repeat it in a moment")]
    IdempotencyKeyInUse,
    #[error("this request was answered before with a secret that is shown once; the object's id is {id}")]
    SecretAlreadyShown { id: String },
    #[error("{what}; wait {retry_after_s} seconds")]
    RateLimited { what: &'static str, retry_after_s: u64 },
    /// Passing trouble of the server's own: repeating later makes sense.
    #[error("{cause}; {}", remedy(*.cause))]
    Unavailable {
        cause: Cause,
        #[source]
        source: StorageError,
    },
    /// The connection was lost while the write was being committed.
    #[error(
        "the database did not answer whether the write was done; {}",
        after_a_write(true)
    )]
    InDoubt(#[source] StorageError),
    /// The use case was given up at its deadline.
    #[error("the database did not answer within {} seconds; {}", CALL_LIMIT.as_secs(), after_a_write(*may_be_done))]
    GivenUp { may_be_done: bool },
    /// As many costly calls as this node allows are under way.
    #[error("too many calls are under way; repeat the request in {retry_after_s} seconds")]
    Busy { retry_after_s: u64 },
    /// This node is about to stop: whoever comes back reaches another, or this one once it runs again.
    #[error("this node is about to stop; connect again after Retry-After")]
    Stopping,
    /// This node has no catalog to answer from yet.
    #[error("the catalog has not been loaded yet; repeat the request later")]
    NoCatalog,
    #[error("an unexpected failure")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// True if the database's trouble made it fail, so that the same may succeed later.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::InDoubt(_) | Self::GivenUp { .. }
        )
    }

    /// One field that is wrong.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::invalid(field, message)])
    }

    pub fn wrong_state(detail: impl Into<String>) -> Self {
        Self::WrongState {
            detail: detail.into(),
            fields: Vec::new(),
        }
    }

    pub fn tenant_disabled() -> Self {
        Self::PermissionDenied("your tenant is disabled; ask the platform's administrator".to_owned())
    }

    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(source))
    }
}

/// What the caller of a write needs to know before it repeats the request.
fn after_a_write(may_be_done: bool) -> &'static str {
    if may_be_done {
        "the write may have been done: repeat the request with the same Idempotency-Key, or read the object first"
    } else {
        "the write was not done: repeat the request later"
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotYours => Self::NotFound("tenant"),
            Refusal::RoleTooSmall(action) => Self::PermissionDenied(format!(
                "your role does not allow this ({action:?}); ask an administrator"
            )),
        }
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(ref unavailability) => Self::Unavailable {
                cause: unavailability.cause(),
                source: error,
            },
            StorageError::InDoubt(_) => Self::InDoubt(error),
            StorageError::BadCursor => {
                Self::invalid("cursor", "cursor must be a next_cursor that this list gave")
            }
            StorageError::Conflict(key) => Self::AlreadyExists(already_exists(key).to_owned()),
            // Somebody was faster: what this request decided on is no longer so.
            StorageError::Changed => Self::Stale,
            StorageError::ReservationLost => Self::IdempotencyKeyInUse,
            StorageError::CredentialEnded => Self::Unauthenticated(CREDENTIAL_ENDED),
            StorageError::TenantDisabled => Self::tenant_disabled(),
            StorageError::BrokenReference => Self::NotFound("object that this request refers to"),
            other => Self::internal(other),
        }
    }
}

/// Tells what to do about a database that cannot be used.
pub(super) fn remedy(cause: Cause) -> &'static str {
    match cause {
        Cause::Away => "repeat the request later",
        Cause::Full => "free space on its disk or raise its quota, then repeat the request",
        Cause::ReadOnly => {
            "connect the server to the primary or make the database writable, then repeat the request"
        }
        Cause::Locked => "end what holds the lock, or repeat the request later",
        Cause::TimedOut => "repeat the request later, or ask for less at once",
        Cause::FileMissing => {
            "put the file or its volume back, or restore a backup and restart the server, then repeat the request"
        }
        Cause::Refused => {
            "correct its login in SLIPWAY_DATABASE_URL or grant the rights, then repeat the request"
        }
        Cause::TooManyConnections => {
            "raise its max_connections or run fewer servers, or repeat the request later"
        }
        Cause::OutOfMemory => "give it more memory, or repeat the request later",
        Cause::DiskError => "look into its log and check its disk, then repeat the request",
        Cause::Damaged => "restore a backup, then repeat the request",
    }
}

/// What is taken, and what to do about it.
fn already_exists(key: UniqueKey) -> &'static str {
    match key {
        UniqueKey::TenantId => "a tenant with this id exists; choose another id",
        UniqueKey::PackageName => {
            "a package name is taken in this tenant, by an app or as one of its old names; choose another"
        }
        UniqueKey::Username => "this username is taken; choose another",
        UniqueKey::VersionCode => "this version_code is taken in its resource; choose another",
        UniqueKey::Resource | UniqueKey::AppKey => "such an object exists already; repeat the request",
    }
}

/// A list of wrong fields as a result: `Ok` when it is empty.
pub(super) fn accept(errors: Vec<FieldError>) -> Result<(), ServiceError> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ServiceError::Invalid(errors))
    }
}
