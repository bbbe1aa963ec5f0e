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
    post "/tenants" => pages::tenants::create_tenant;
    get "/tenants/{tenant_id}" => pages::overview::of_tenant;
    get "/tenants/{tenant_id}/settings" => pages::tenants::show_settings;
    post "/tenants/{tenant_id}/settings" => pages::tenants::update_settings;
    get "/tenants/{tenant_id}/audit" => pages::audit::of_tenant;
}
