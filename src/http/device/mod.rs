//! Device API, called with the tenant's device key or the device's own token.

mod check;
mod check_response;
mod devices;
mod events;
pub(super) mod given;
mod probing;
mod push_response;
mod pushes;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every route below `/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(check::answer_check)
        .service(check::answer_check_again)
        .service(events::receive_events)
        .service(pushes::poll_pushes)
        .service(pushes::acknowledge_push)
        .service(devices::enrol_device);
}
