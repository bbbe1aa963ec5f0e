//! The device API: what devices call with their tenant's key.

mod check;
mod check_response;
pub(super) mod given;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route below `/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(check::answer_check)
        .service(check::answer_check_again);
}
