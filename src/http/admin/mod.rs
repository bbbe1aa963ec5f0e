//! Admin API. Each file contains the handlers of one resource with their request and response types.

mod adoption;
mod adoption_history;
mod apps;
mod artifacts;
mod audit;
mod auth;
mod credentials;
mod device_credentials;
mod device_fields;
mod devices;
mod explain;
mod me;
mod org_devices;
mod org_directory;
mod owner;
mod people;
mod pins;
mod publish_releases;
mod push_fields;
mod pushes;
mod release_fields;
mod release_response;
mod release_transitions;
mod releases;
pub(crate) mod requests;
mod resources;
mod rule_fields;
mod tenants;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every route below `/api/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(auth::login)
        .service(auth::refresh)
        .service(auth::logout)
        .service(me::get_me)
        .service(me::change_password)
        .service(audit::list_platform_audit)
        .service(tenants::create_tenant)
        .service(tenants::list_tenants)
        .service(tenants::get_tenant)
        .service(tenants::update_tenant)
        .service(org_directory::replace_org_directory)
        .service(org_directory::get_org_directory)
        .service(org_devices::list_org_devices)
        .service(apps::create_app)
        .service(apps::list_apps)
        .service(apps::get_app)
        .service(apps::update_app)
        .service(apps::delete_app)
        .service(resources::list_resources)
        .service(resources::get_resource)
        .service(resources::update_resource)
        .service(releases::create_release)
        .service(releases::list_releases)
        .service(releases::get_release)
        .service(releases::update_release)
        .service(releases::set_rollout)
        .service(publish_releases::publish_releases)
        .service(publish_releases::publish_release)
        .service(release_transitions::pause_release)
        .service(release_transitions::resume_release)
        .service(release_transitions::discard_release)
        .service(release_transitions::recall_release)
        .service(pins::put_pin)
        .service(pins::list_pins)
        .service(pins::get_pin)
        .service(pins::delete_pin)
        .service(explain::explain_check)
        .service(adoption::get_adoption)
        .service(adoption_history::get_adoption_history)
        .service(devices::import_devices)
        .service(devices::list_devices)
        .service(devices::get_device)
        .service(pushes::create_push)
        .service(pushes::list_pushes)
        .service(pushes::get_push)
        .service(pushes::withdraw_push)
        .service(devices::delete_device)
        .service(device_credentials::create_enrolment_code)
        .service(device_credentials::revoke_device_token)
        .service(audit::list_audit);
    artifacts::routes(config);
    people::routes(config);
    credentials::routes(config);
}
