//! Device API, called with the tenant's device key or the device's own token.

mod check;
mod check_response;
mod devices;
mod disconnect_probe;
mod events;
mod push_response;
mod pushes;
pub(super) mod raw_check_fields;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every route below `/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(check::answer_check)
        .service(check::check_by_query)
        .service(events::receive_events)
        .service(pushes::poll_pushes)
        .service(pushes::acknowledge_push)
        .service(devices::enrol_device);
}
