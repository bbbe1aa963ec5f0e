//! Errors of the use cases as gateway errors.

use slipway_domain::catalog::field::{FieldError, FieldErrorCode, excerpt};
use slipway_gateway::error::GatewayError;

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
