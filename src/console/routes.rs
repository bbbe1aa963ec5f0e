//! Routes of the console. The list is the only one; tests go through it.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

use super::error_pages::{finish, handle_unrouted};
use super::{assets, pages};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        /// Method and path of every page and form.
        pub const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path),)*];

        /// Registers every page and form.
        pub(super) fn routes(config: &mut ServiceConfig) {
            let scope = web::scope("/console").wrap(from_fn(finish));
            $(let scope = scope.route($path, web::$method().to($handler));)*
            config
                .service(scope.default_service(web::to(handle_unrouted)))
                .service(web::redirect("/", "/console/"));
        }
    };
}

routes! {
    get "" => pages::overview::show;
    get "/events" => pages::streams::of_platform_alarms;
    get "/assets/{digest}/{file}" => assets::send_asset;
    get "/sign-in" => pages::sign_in::show;
    post "/sign-in" => pages::sign_in::sign_in;
    post "/sign-out" => pages::sign_in::sign_out;
    post "/language" => pages::sign_in::choose_language;
    get "/account" => pages::account::show;
    post "/account" => pages::account::change_password;
    get "/help" => pages::account::help;
    get "/search" => pages::search::of_platform;
    get "/people" => pages::people::list_administrators;
    post "/people" => pages::people::create_administrator;
    post "/people/{id}" => pages::people::update_administrator;
    post "/people/{id}/delete" => pages::people::delete_administrator;
    get "/tokens" => pages::credentials::list_platform_tokens;
    post "/tokens" => pages::credentials::create_platform_token;
    post "/tokens/{id}/delete" => pages::credentials::delete_platform_token;
    get "/audit" => pages::audit::of_platform;
    get "/audit.csv" => pages::audit_export::platform_csv;
    get "/audit.jsonl" => pages::audit_export::platform_json_lines;
    post "/tenants" => pages::tenants::create_tenant;
    get "/tenants/{tenant_id}" => pages::overview::of_tenant;
    get "/tenants/{tenant_id}/events" => pages::streams::of_tenant_alarms;
    get "/tenants/{tenant_id}/apps" => pages::apps::list;
    post "/tenants/{tenant_id}/apps" => pages::apps::create_app;
    get "/tenants/{tenant_id}/apps/{package_name}" => pages::app::show;
    post "/tenants/{tenant_id}/apps/{package_name}/update" => pages::app::update;
    post "/tenants/{tenant_id}/apps/{package_name}/delete" => pages::app::delete;
    get "/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}" => pages::resource::show;
    post "/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}" => pages::resource::update;
    get "/tenants/{tenant_id}/apps/{package_name}/releases/new" => pages::new_release::show;
    post "/tenants/{tenant_id}/apps/{package_name}/releases" => pages::new_release::create_release;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/new" => pages::new_release::upload;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/new/nodes" => pages::new_release::choose_nodes;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/new/preview" => pages::new_release::preview;
    get "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}" => pages::releases::show;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/edit" => pages::releases::update;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/rollout" => pages::releases::set_rollout;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish" => pages::releases::publish;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/pause" => pages::releases::pause;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/resume" => pages::releases::resume;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/discard" => pages::releases::discard;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/recall" => pages::releases::recall;
    get "/tenants/{tenant_id}/artifacts" => pages::artifacts::list;
    post "/tenants/{tenant_id}/artifacts" => pages::artifacts::upload;
    get "/tenants/{tenant_id}/artifacts/{sha256}" => pages::artifact::show;
    post "/tenants/{tenant_id}/artifacts/{sha256}/keep" => pages::artifact::set_keep;
    post "/tenants/{tenant_id}/artifacts/{sha256}/new-link" => pages::artifact::replace_link;
    post "/tenants/{tenant_id}/artifacts/{sha256}/delete" => pages::artifact::delete;
    get "/tenants/{tenant_id}/search" => pages::search::show;
    get "/tenants/{tenant_id}/devices" => pages::devices::list;
    post "/tenants/{tenant_id}/devices" => pages::devices::import;
    get "/tenants/{tenant_id}/devices/{device_id}" => pages::device::show;
    post "/tenants/{tenant_id}/devices/{device_id}/why" => pages::device::why;
    post "/tenants/{tenant_id}/devices/{device_id}/delete" => pages::device::delete;
    post "/tenants/{tenant_id}/devices/{device_id}/revoke" => pages::device::revoke;
    post "/tenants/{tenant_id}/devices/{device_id}/enrolment-code" => pages::device::create_code;
    get "/tenants/{tenant_id}/explain" => pages::explain::show;
    post "/tenants/{tenant_id}/explain" => pages::explain::explain_fields;
    post "/tenants/{tenant_id}/explain/request" => pages::explain::explain_request;
    get "/tenants/{tenant_id}/org" => pages::org::show;
    post "/tenants/{tenant_id}/org" => pages::org::import;
    get "/tenants/{tenant_id}/org.csv" => pages::org::export;
    get "/tenants/{tenant_id}/pushes" => pages::pushes::list;
    post "/tenants/{tenant_id}/pushes" => pages::pushes::send;
    get "/tenants/{tenant_id}/pushes/{push_id}" => pages::pushes::show;
    get "/tenants/{tenant_id}/pushes/{push_id}/events" => pages::streams::of_push;
    post "/tenants/{tenant_id}/pushes/{push_id}/withdraw" => pages::pushes::withdraw;
    get "/tenants/{tenant_id}/pins" => pages::pins::list;
    post "/tenants/{tenant_id}/pins" => pages::pins::put;
    post "/tenants/{tenant_id}/pins/{pin_id}/delete" => pages::pins::delete;
    get "/tenants/{tenant_id}/people" => pages::people::list_users;
    post "/tenants/{tenant_id}/people" => pages::people::create_user;
    post "/tenants/{tenant_id}/people/{id}" => pages::people::update_user;
    post "/tenants/{tenant_id}/people/{id}/delete" => pages::people::delete_user;
    get "/tenants/{tenant_id}/keys" => pages::credentials::list_keys;
    post "/tenants/{tenant_id}/keys/app" => pages::credentials::create_app_key;
    post "/tenants/{tenant_id}/keys/app/{id}/rotate" => pages::credentials::rotate_app_key;
    post "/tenants/{tenant_id}/keys/app/{id}/delete" => pages::credentials::delete_app_key;
    post "/tenants/{tenant_id}/keys/device" => pages::credentials::create_device_key;
    post "/tenants/{tenant_id}/keys/device/{id}/delete" => pages::credentials::delete_device_key;
    get "/tenants/{tenant_id}/tokens" => pages::credentials::list_tokens;
    post "/tenants/{tenant_id}/tokens" => pages::credentials::create_token;
    post "/tenants/{tenant_id}/tokens/{id}/delete" => pages::credentials::delete_token;
    get "/tenants/{tenant_id}/settings" => pages::tenants::show_settings;
    post "/tenants/{tenant_id}/settings" => pages::tenants::update_settings;
    post "/tenants/{tenant_id}/settings/switches" => pages::tenants::update_switches;
    get "/tenants/{tenant_id}/audit" => pages::audit::of_tenant;
    get "/tenants/{tenant_id}/audit.csv" => pages::audit_export::tenant_csv;
    get "/tenants/{tenant_id}/audit.jsonl" => pages::audit_export::tenant_json_lines;
}
