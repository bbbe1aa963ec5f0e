//! The device API: what devices call with their tenant's key or a token of their own.

mod check;
mod check_response;
mod devices;
pub(super) mod given;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route below `/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(check::answer_check)
        .service(check::answer_check_again)
        .service(devices::enrol_device);
}
