//! Log of requests that failed on the server's side, for every face.

use crate::error_chain::error_chain;
use crate::services::ServiceError;

/// Logs a failure with its causes. Errors of the caller are not logged.
pub(super) fn log_failure(error: &ServiceError) {
    match error {
        ServiceError::Unavailable { source, .. } => {
            tracing::warn!(error = %error_chain(source), "the database is unavailable");
        }
        ServiceError::StoreUnavailable(source) => {
            tracing::warn!(error = %error_chain(source), "the artifact store is unavailable");
        }
        ServiceError::InDoubt(source) => {
            tracing::warn!(error = %error_chain(source), "the outcome of a commit is unknown");
        }
        ServiceError::GivenUp {
            is_possibly_committed,
        } => tracing::warn!(may_be_done = is_possibly_committed, "a call missed its deadline"),
        ServiceError::Internal(source) => {
            tracing::error!(error = %error_chain(source.as_ref()), "a request failed unexpectedly");
        }
        _ => {}
    }
}
