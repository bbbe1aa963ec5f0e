//! Admin API. Each file contains the handlers of one resource with their request and response types.

mod administrators;
mod adoption;
mod api_tokens;
mod app_keys;
mod apps;
mod audit;
mod auth;
mod device_credentials;
mod device_fields;
mod device_keys;
mod devices;
mod explain;
mod key_fields;
mod me;
mod org_directory;
mod pins;
mod platform_tokens;
mod push_fields;
mod pushes;
mod release_fields;
mod release_response;
mod release_transitions;
mod releases;
mod resources;
mod rule_fields;
mod tenants;
mod users;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every route below `/api/v1`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(auth::login)
        .service(auth::refresh)
        .service(auth::logout)
        .service(me::get_me)
        .service(me::change_password)
        .service(administrators::create_administrator)
        .service(administrators::list_administrators)
        .service(administrators::get_administrator)
        .service(administrators::update_administrator)
        .service(administrators::delete_administrator)
        .service(platform_tokens::create_platform_token)
        .service(platform_tokens::list_platform_tokens)
        .service(platform_tokens::get_platform_token)
        .service(platform_tokens::delete_platform_token)
        .service(audit::list_platform_audit)
        .service(tenants::create_tenant)
        .service(tenants::list_tenants)
        .service(tenants::get_tenant)
        .service(tenants::update_tenant)
        .service(users::create_user)
        .service(users::list_users)
        .service(users::get_user)
        .service(users::update_user)
        .service(users::delete_user)
        .service(app_keys::create_app_key)
        .service(app_keys::list_app_keys)
        .service(app_keys::get_app_key)
        .service(app_keys::delete_app_key)
        .service(app_keys::rotate_app_key)
        .service(device_keys::create_device_key)
        .service(device_keys::list_device_keys)
        .service(device_keys::get_device_key)
        .service(device_keys::delete_device_key)
        .service(api_tokens::create_api_token)
        .service(api_tokens::list_api_tokens)
        .service(api_tokens::get_api_token)
        .service(api_tokens::delete_api_token)
        .service(org_directory::replace_org_directory)
        .service(org_directory::get_org_directory)
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
        .service(release_transitions::publish_release)
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
}
