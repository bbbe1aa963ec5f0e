//! The faces on HTTP: the only room that knows actix-web and utoipa. Handlers parse, call one service function and
//! map its outcome; they decide nothing.

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

/// What a server is built from.
#[derive(Clone)]
pub struct Parts {
    pub context: Arc<Context>,
    pub trusted_proxies: TrustedProxies,
    pub metrics: PrometheusHandle,
    /// Where clients reach the server, for the API's description.
    pub public_url: Option<String>,
    pub faces: Faces,
}

/// Which faces a server shows. All show health and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faces {
    All,
    /// What devices, people and pipelines call.
    Calls,
    /// What operators read: metrics and documentation.
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

/// The description of the API, without a server.
pub fn openapi() -> OpenApi {
    described(App::new().into_utoipa_app(), None, Faces::All).1
}

/// The whole server, every face that it shows and middleware.
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
    // Devices ask most, so their routes come first.
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

/// Adds the documented routes of these faces; this is the one list of routes.
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
