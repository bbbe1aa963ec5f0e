//! Device API, called with the tenant's device key or the device's own token.

mod check;
mod check_response;
mod devices;
mod disconnect_probe;
mod events;
mod push_response;
mod pushes;
pub(super) mod raw_check_fields;

use actix_web::HttpRequest;
use utoipa_actix_web::service_config::ServiceConfig;

use super::body_memory::Owner;
use super::client_address::client_address;
use crate::services::authentication::DeviceCaller;
use crate::services::network_of;

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

/// Returns the owner of the memory for a caller's body. A token that is not verified must not use up the memory of the
/// tenant that it names.
fn body_owner(request: &HttpRequest, caller: Option<&DeviceCaller>) -> Owner {
    caller.and_then(DeviceCaller::verified_tenant).map_or_else(
        || Owner::Source(client_address(request).map(network_of)),
        Owner::Tenant,
    )
}
