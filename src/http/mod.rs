//! HTTP APIs. Only this module depends on actix-web and utoipa. Handlers parse the request, call one service function
//! and map its result. They contain no business logic.

mod admin;
mod body;
mod body_memory;
mod call;
mod client_address;
mod connection;
mod device;
mod documentation;
mod fallback;
mod fields;
mod form;
mod forwarded;
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

pub use client_address::{ForwardedHeader, TrustedProxies};
pub(crate) use connection::TimedStream;

use crate::services::Context;

/// Dependencies of a server.
#[derive(Clone)]
pub struct Parts {
    pub context: Arc<Context>,
    pub trusted_proxies: TrustedProxies,
    pub metrics: PrometheusHandle,
    /// Public address of the server, for the API description.
    pub public_url: Option<String>,
    pub faces: Faces,
}

/// APIs that a server exposes. Health and readiness are always exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faces {
    All,
    /// APIs for devices, people and pipelines.
    Calls,
    /// Metrics and documentation, for operators.
    Operations,
}

impl Faces {
    fn has_calls(self) -> bool {
        self != Self::Operations
    }

    fn has_operations(self) -> bool {
        self != Self::Calls
    }
}

/// Returns the API description without a server.
pub fn openapi() -> OpenApi {
    described(App::new().into_utoipa_app(), None, Faces::All).1
}

/// Builds the application with the exposed APIs and the middleware.
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
    let (faces, public_url) = (parts.faces, parts.public_url.as_deref());
    // Devices send most of the requests, so their routes come first.
    let app = App::new()
        .configure(|config| {
            if faces.has_calls() {
                gateway::routes(config);
            }
        })
        .app_data(web::Data::from(parts.context.clone()))
        .app_data(web::Data::new(parts.trusted_proxies.clone()))
        .app_data(web::Data::new(parts.metrics.clone()));
    let (app, shown) = described(app.into_utoipa_app(), public_url, faces);
    app.app_data(web::Data::new(fallback::KnownPaths::of(&shown, faces)))
        .configure(|config| {
            if faces.has_operations() {
                let (_, api) = described(App::new().into_utoipa_app(), public_url, Faces::All);
                documentation::routes(config, &api, public_url);
            }
        })
        .default_service(web::to(fallback::answer))
        .wrap(from_fn(telemetry::surround))
}

/// Adds the documented routes of the exposed APIs. This is the only list of routes.
fn described<T>(
    app: utoipa_actix_web::UtoipaApp<T>,
    public_url: Option<&str>,
    faces: Faces,
) -> (App<T>, OpenApi)
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
{
    let mut app = app.openapi(openapi::base(public_url));
    if faces.has_calls() {
        app = app
            .service(scope("/v1").configure(device::routes))
            .service(scope("/api/v1").configure(admin::routes));
    }
    app = app
        .service(operations::get_health)
        .service(operations::get_readiness);
    if faces.has_operations() {
        app = app.service(operations::get_metrics);
    }
    app.split_for_parts()
}
