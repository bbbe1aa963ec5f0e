//! The faces on HTTP: the only room that knows actix-web and utoipa. Handlers parse, call one service function and
//! map its outcome; they decide nothing.

mod admin;
mod body;
mod call;
mod client_address;
mod device;
mod fallback;
mod fields;
mod form;
pub mod gateway;
mod heavy;
mod object;
mod openapi;
mod operations;
mod pagination;
mod path;
mod problem;
mod request_ids;
mod respond;
mod telemetry;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::{AppExt, scope};
use utoipa_swagger_ui::SwaggerUi;

pub use client_address::TrustedProxies;

use crate::services::Context;

/// What a server is built from.
#[derive(Clone)]
pub struct Parts {
    pub context: Arc<Context>,
    pub trusted_proxies: TrustedProxies,
    pub metrics: PrometheusHandle,
    /// Where clients reach the server, for the API's description.
    pub public_url: Option<String>,
}

/// The description of the API, without a server.
pub fn openapi() -> OpenApi {
    described(App::new().into_utoipa_app(), None).1
}

/// The whole server, every face and middleware.
pub fn server(
    parts: &Parts,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    // Devices ask most, so their routes come first.
    let app = App::new()
        .configure(gateway::routes)
        .app_data(web::Data::from(parts.context.clone()))
        .app_data(web::Data::new(parts.trusted_proxies.clone()))
        .app_data(web::Data::new(parts.metrics.clone()));
    let (app, api) = described(app.into_utoipa_app(), parts.public_url.as_deref());
    app.app_data(web::Data::new(fallback::KnownPaths::of(&api)))
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", api))
        .default_service(web::to(fallback::answer))
        .wrap(from_fn(telemetry::surround))
}

/// Adds every documented route; this is the one list of faces.
fn described<T>(app: utoipa_actix_web::UtoipaApp<T>, public_url: Option<&str>) -> (App<T>, OpenApi)
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
{
    app.openapi(openapi::base(public_url))
        .service(scope("/v1").configure(device::routes))
        .service(scope("/api/v1").configure(admin::routes))
        .service(operations::get_health)
        .service(operations::get_readiness)
        .service(operations::get_metrics)
        .split_for_parts()
}
