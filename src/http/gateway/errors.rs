//! Errors of the use cases as gateway errors.

use crate::http::failure_log::log_failure;
use crate::http::problem::INTERNAL_DETAIL;
use crate::services::ServiceError;
use slipway_domain::catalog::field::{FieldError, FieldErrorCode, excerpt};
use slipway_gateway::error::GatewayError;

/// The one mapping. It has no catch-all arm, so that a new error of the use cases needs a decision here.
impl From<ServiceError> for GatewayError {
    fn from(error: ServiceError) -> Self {
        log_failure(&error);
        match error {
            ServiceError::Invalid(errors) => wrong_arguments(&errors),
            ServiceError::PermissionDenied(_) | ServiceError::NotFound(_) => Self::not_permitted(),
            ServiceError::RateLimited { retry_after_s, .. } => Self::rate_limited(retry_after_s),
            ServiceError::NoCatalog => Self::unavailable(),
            ServiceError::Internal(_) => Self::remote_unavailable(INTERNAL_DETAIL),
            ServiceError::Unauthenticated(_)
            | ServiceError::AlreadyExists(_)
            | ServiceError::AlreadyEnrolled(_)
            | ServiceError::WrongState { .. }
            | ServiceError::VersionConflict(_)
            | ServiceError::ReleaseDiffers { .. }
            | ServiceError::SignerChanged(_)
            | ServiceError::UnsafePackage(_)
            | ServiceError::Stale
            | ServiceError::IdempotencyKeyReused
            | ServiceError::IdempotencyKeyInUse
            | ServiceError::SecretAlreadyShown { .. }
            | ServiceError::TooLarge { .. }
            | ServiceError::InsufficientStorage(_)
            | ServiceError::DigestMismatch { .. }
            | ServiceError::InUse(_)
            | ServiceError::StoreUnavailable(_)
            | ServiceError::Unavailable { .. }
            | ServiceError::InDoubt(_)
            | ServiceError::GivenUp { .. }
            | ServiceError::Busy { .. } => Self::remote_unavailable(&error.to_string()),
        }
    }
}

/// Reports the first missing argument, otherwise the first invalid one.
pub(super) fn wrong_arguments(errors: &[FieldError]) -> GatewayError {
    let missing = errors.iter().find(|error| error.code == FieldErrorCode::Required);
    match (missing, errors.first()) {
        (Some(error), _) => GatewayError::missing_argument(&excerpt(&error.field), &error.message),
        (None, Some(error)) => invalid_argument(&error.field, &error.message),
        (None, None) => GatewayError::unavailable(),
    }
}

/// Reports an invalid argument whose name the caller wrote.
pub(super) fn invalid_argument(name: &str, why: &str) -> GatewayError {
    GatewayError::invalid_argument(&excerpt(name), why)
}
