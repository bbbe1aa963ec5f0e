//! Routes of the console. The list is the only one; tests go through it.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

use super::errors::{finish, handle_unrouted};
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
    get "/assets/{digest}/{file}" => assets::send_asset;
    get "/sign-in" => pages::sign_in::show;
    post "/sign-in" => pages::sign_in::sign_in;
    post "/sign-out" => pages::sign_in::sign_out;
    post "/language" => pages::sign_in::choose_language;
    get "/account" => pages::account::show;
    post "/account" => pages::account::change_password;
    get "/help" => pages::account::help;
    get "/audit" => pages::audit::of_platform;
    get "/audit.csv" => pages::audit::platform_csv;
    get "/audit.jsonl" => pages::audit::platform_json_lines;
    post "/tenants" => pages::tenants::create_tenant;
    get "/tenants/{tenant_id}" => pages::overview::of_tenant;
    get "/tenants/{tenant_id}/apps" => pages::apps::list;
    post "/tenants/{tenant_id}/apps" => pages::apps::create_app;
    get "/tenants/{tenant_id}/apps/{package_name}" => pages::apps::show;
    post "/tenants/{tenant_id}/apps/{package_name}/update" => pages::apps::update;
    post "/tenants/{tenant_id}/apps/{package_name}/delete" => pages::apps::delete;
    post "/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}" => pages::apps::update_resource;
    get "/tenants/{tenant_id}/apps/{package_name}/releases/new" => pages::release_form::show;
    post "/tenants/{tenant_id}/apps/{package_name}/releases" => pages::release_form::create_release;
    get "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}" => pages::releases::show;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/edit" => pages::releases::update;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/rollout" => pages::releases::set_rollout;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish" => pages::releases::publish;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/pause" => pages::releases::pause;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/resume" => pages::releases::resume;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/discard" => pages::releases::discard;
    post "/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/recall" => pages::releases::recall;
    get "/tenants/{tenant_id}/settings" => pages::tenants::show_settings;
    post "/tenants/{tenant_id}/settings" => pages::tenants::update_settings;
    get "/tenants/{tenant_id}/audit" => pages::audit::of_tenant;
    get "/tenants/{tenant_id}/audit.csv" => pages::audit::tenant_csv;
    get "/tenants/{tenant_id}/audit.jsonl" => pages::audit::tenant_json_lines;
}
