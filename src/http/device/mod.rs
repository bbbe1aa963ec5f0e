//! The device API: what devices call with their tenant's key or a token of their own.

mod check;
mod check_response;
mod devices;
mod events;
pub(super) mod given;
mod probing;
mod push_response;
mod pushes;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route below `/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(check::answer_check)
        .service(check::answer_check_again)
        .service(events::receive_events)
        .service(pushes::poll_pushes)
        .service(pushes::acknowledge_push)
        .service(devices::enrol_device);
}
