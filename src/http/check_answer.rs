//! Parts of a check's answer that the device API and the gateway share.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::HeaderName;

use super::respond::SLIPWAY_REVISION;
use crate::services::checks::CheckAnswer;

/// Seconds since the responding node last reached the database.
const SLIPWAY_STALE: HeaderName = HeaderName::from_static("slipway-stale");

/// Number of pushes waiting for the device, if it authenticated with its own token.
const SLIPWAY_PUSHES_WAITING: HeaderName = HeaderName::from_static("slipway-pushes-waiting");

/// Asks a device to enrol again with its token, because the secret key of the token will be removed soon.
const SLIPWAY_TOKEN_RENEWAL: HeaderName = HeaderName::from_static("slipway-token-renewal");

/// Inserts the headers of every check response.
pub(super) fn insert_check_headers(response: &mut HttpResponseBuilder, answer: &CheckAnswer<'_>) {
    response.insert_header((SLIPWAY_REVISION, answer.revision));
    if let Some(stale_for) = answer.stale_for {
        response.insert_header((SLIPWAY_STALE, stale_for.num_seconds()));
    }
    if let Some(waiting) = answer.pushes_waiting {
        response.insert_header((SLIPWAY_PUSHES_WAITING, waiting));
    }
    if answer.token_renewal_due {
        response.insert_header((SLIPWAY_TOKEN_RENEWAL, "due"));
    }
}
