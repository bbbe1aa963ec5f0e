//! Errors of use cases. `http::problem` maps each of them to a response.

use std::time::Duration;

use crate::artifact_store::StoreError;
use crate::storage::{Cause, StorageError, UniqueKey};
use slipway_domain::access::Refusal;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::release::Release;

/// Time limit of a use case. [`ServiceError::GivenUp`] reports it.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

const CREDENTIAL_ENDED: &str = "the credential was revoked, or its role changed, while the request was under way; \
                                nothing was written";

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldError>),
    #[error("{0}")]
    Unauthenticated(&'static str),
    #[error("{0}")]
    PermissionDenied(String),
    /// The object is absent or belongs to another tenant. The caller must not be able to tell which.
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    AlreadyExists(String),
    /// A device key alone cannot enrol an id that has a token.
    #[error("{0}")]
    AlreadyEnrolled(&'static str),
    /// `fields` are those that the current state does not allow to change.
    #[error("{detail}")]
    WrongState { detail: String, fields: Vec<FieldError> },
    #[error("{0}")]
    VersionConflict(String),
    /// The version exists with the same file and other content, and the caller asked for exactly this content.
    #[error("the version exists already with other values of: {}; nothing was saved", fields.join(", "))]
    ReleaseDiffers {
        id: ReleaseId,
        fields: Vec<&'static str>,
    },
    /// Devices with the newest release could not install this one.
    #[error("{0}")]
    SignerChanged(String),
    /// The package must not reach devices without a decision.
    #[error("{0}")]
    UnsafePackage(String),
    #[error("the object has changed since it was read; read it again and repeat the change")]
    Stale,
    #[error("this Idempotency-Key was used with another body; use a new key for another request")]
    IdempotencyKeyReused,
    #[error("a request with this Idempotency-Key is in progress; repeat it in a moment")]
    IdempotencyKeyInUse,
    #[error("this request was answered before with a secret that is shown once; the object's id is {id}")]
    SecretAlreadyShown { id: String },
    #[error("{what}; wait {retry_after_s} seconds")]
    RateLimited { what: &'static str, retry_after_s: u64 },
    /// Temporary failure on the server's side: the request can be repeated later.
    #[error("{cause}; {}", advice_for(*.cause))]
    Unavailable {
        cause: Cause,
        #[source]
        source: StorageError,
    },
    /// The connection was lost during the commit.
    #[error("the database did not confirm the write; {}", after_a_write(true))]
    InDoubt(#[source] StorageError),
    /// The use case reached its deadline.
    #[error("the database did not answer within {} seconds; {}", CALL_LIMIT.as_secs(), after_a_write(*is_possibly_committed))]
    GivenUp { is_possibly_committed: bool },
    /// The node's limit of concurrent expensive calls is reached.
    #[error("too many calls are under way; repeat the request in {retry_after_s} seconds")]
    Busy { retry_after_s: u64 },
    #[error("the file is larger than {limit} bytes; the operator can raise SLIPWAY_ARTIFACT_MAX_BYTES")]
    TooLarge { limit: u64 },
    /// The tenant's quota or the artifact store is full.
    #[error("{0}")]
    InsufficientStorage(String),
    #[error("the received bytes have the SHA-256 {actual}, not {expected}; send the file again")]
    DigestMismatch { expected: String, actual: String },
    /// Other objects still refer to the object.
    #[error("{0}")]
    InUse(String),
    #[error("{}", store_advice(.0))]
    StoreUnavailable(#[source] StoreError),
    /// This node has not loaded a catalog yet.
    #[error("the catalog has not been loaded yet; repeat the request later")]
    NoCatalog,
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// Names the release that a refusal is about, in a call for several.
    pub(super) fn about(self, release: &Release) -> Self {
        let name = format!("{} {}", release.identifier, release.content.version_code);
        let named = |detail: String| format!("{name}: {detail}");
        match self {
            Self::WrongState { detail, fields } => Self::WrongState {
                detail: named(detail),
                fields,
            },
            Self::VersionConflict(detail) => Self::VersionConflict(named(detail)),
            Self::SignerChanged(detail) => Self::SignerChanged(named(detail)),
            Self::UnsafePackage(detail) => Self::UnsafePackage(named(detail)),
            other => other,
        }
    }

    /// Returns `true` if the database caused the failure, so that a repetition may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::InDoubt(_) | Self::GivenUp { .. }
        )
    }

    /// Creates an error for one invalid field.
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

    /// Returns the same error for unknown, disabled and foreign tenants.
    pub(super) fn no_tenant_access() -> Self {
        Self::PermissionDenied("the credential has no access to this tenant".to_owned())
    }

    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(source))
    }
}

/// Returns the advice for repeating a failed write.
fn after_a_write(is_possibly_committed: bool) -> &'static str {
    if is_possibly_committed {
        "the write may have been done: repeat the request with the same Idempotency-Key, or read the object first"
    } else {
        "the write was not done: repeat the request later"
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OtherTenant => Self::NotFound("tenant"),
            Refusal::ForbiddenByRole(_) => {
                Self::PermissionDenied("your role does not allow this; ask an administrator".to_owned())
            }
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
            StorageError::Conflict(UniqueKey::VersionCode) => {
                Self::VersionConflict("another release of this resource has this version_code".to_owned())
            }
            StorageError::Conflict(key) => Self::AlreadyExists(already_exists(key).to_owned()),
            // A concurrent request changed the state that this request was decided on.
            StorageError::Changed => Self::Stale,
            StorageError::ReservationLost => Self::IdempotencyKeyInUse,
            StorageError::CredentialEnded => Self::Unauthenticated(CREDENTIAL_ENDED),
            StorageError::TenantDisabled => Self::tenant_disabled(),
            StorageError::BrokenReference => Self::NotFound("object that this request refers to"),
            other => Self::internal(other),
        }
    }
}

/// Returns the advice for an unusable database.
pub(super) fn advice_for(cause: Cause) -> &'static str {
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
        Cause::DiskError => "check its log and its disk, then repeat the request",
        Cause::Damaged => "restore a backup, then repeat the request",
    }
}

/// Returns the conflict and the advice for it.
fn already_exists(key: UniqueKey) -> &'static str {
    match key {
        UniqueKey::TenantId => "a tenant with this id exists; choose another id",
        UniqueKey::PackageName => {
            "a package name is taken in this tenant, by an app or as one of its old names; choose another"
        }
        UniqueKey::Username => "this username is taken; choose another",
        UniqueKey::Resource | UniqueKey::VersionCode | UniqueKey::AppKey => {
            "this object already exists; repeat the request"
        }
    }
}

/// Returns `Ok` if there are no invalid fields.
pub(super) fn require_valid(errors: Vec<FieldError>) -> Result<(), ServiceError> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ServiceError::Invalid(errors))
    }
}

/// Explains an error of the artifact store to a caller.
const fn store_advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damaged | StoreError::NotFound => {
            "the stored content of this file is damaged or missing; upload the file again"
        }
        _ => "the artifact store is unavailable; repeat the request later",
    }
}
