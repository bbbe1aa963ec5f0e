//! HTTP APIs. Only this module depends on actix-web and utoipa. Handlers parse the request, call one service function
//! and map its result. They contain no business logic.

pub(crate) mod access_log;
mod admin;
mod authenticated_request;
pub(crate) mod body;
pub(crate) mod body_memory;
mod body_reader;
mod call;
mod call_body;
mod check_answer;
pub(crate) mod client_address;
mod compression;
mod connection;
mod device;
mod documentation;
mod downloads;
mod failure_log;
mod fallback;
mod fields;
mod forwarded;
pub mod gateway;
mod heavy;
mod heavy_call;
mod object;
mod offer_encoding;
mod offer_json;
mod openapi;
mod operations;
pub(crate) mod pagination;
pub(crate) mod path;
pub(crate) mod problem;
mod push_members;
pub(crate) mod request;
mod request_fields;
pub(crate) mod request_ids;
mod respond;
mod route_metrics;
pub(crate) mod site;
pub(crate) mod telemetry;
mod upload_body;
pub(crate) mod upload_form;
mod value_schemas;

use std::sync::{Arc, LazyLock};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use slipway_resolver::OfferEncoders;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::{AppExt, scope};

pub(crate) use admin::requests;
pub use client_address::{ForwardedHeader, TrustedProxies};
pub(crate) use connection::TimedStream;
pub use documentation::Description;
pub use offer_encoding::OfferEncoding;
pub use offer_json::{JSON, NATIVE_JSON};

use self::gateway::XmlEncoder;
use self::offer_json::JsonEncoder;
use self::problem::Problem;
use crate::services::Context;

/// Encoders of offers, for the compiler of the catalog. Each is at the position that its [`OfferEncoding`] names.
pub const OFFER_ENCODERS: OfferEncoders = [&JsonEncoder, &XmlEncoder];

/// Dependencies of a server.
#[derive(Clone)]
pub struct ServerDependencies {
    pub context: Arc<Context>,
    pub trusted_proxies: TrustedProxies,
    pub metrics: PrometheusHandle,
    /// Public address of the server, for the API description.
    pub public_url: Option<String>,
    pub description: Arc<Description>,
    pub exposed: ExposedApis,
    /// Pages of the console.
    pub console: Console,
}

/// Pages that are served beside the APIs.
#[derive(Clone, Copy)]
pub struct Console {
    /// Registers the routes of the pages.
    routes: fn(&mut web::ServiceConfig),
    /// Renders the page of a request that failed outside of its handler, for an `Accept-Language` header.
    failure_page: fn(&str, &Problem) -> HttpResponse,
}

impl Console {
    pub(crate) const PATH: &'static str = "/console";

    pub(crate) const fn new(
        routes: fn(&mut web::ServiceConfig),
        failure_page: fn(&str, &Problem) -> HttpResponse,
    ) -> Self {
        Self { routes, failure_page }
    }

    fn has_page(path: &str) -> bool {
        path.strip_prefix(Self::PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// APIs that a server exposes. Health and readiness are always exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExposedApis {
    All,
    /// APIs for devices, people and pipelines.
    Clients,
    /// Metrics and documentation, for operators.
    Operations,
}

impl ExposedApis {
    fn has_client_apis(self) -> bool {
        self != Self::Operations
    }

    fn has_operations(self) -> bool {
        self != Self::Clients
    }
}

/// Returns the API description of a server without a public address.
pub fn openapi() -> &'static Value {
    static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| describe(None));
    &DESCRIPTION
}

fn describe(public_url: Option<&str>) -> Value {
    let (_, api) = build_documented_app(App::new().into_utoipa_app(), public_url, ExposedApis::All);
    openapi::document(&api)
}

/// Builds the application with the exposed APIs and the middleware.
pub fn server(
    dependencies: &ServerDependencies,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let (exposed, public_url) = (dependencies.exposed, dependencies.public_url.as_deref());
    // Devices send most of the requests, so their routes come first.
    let app = App::new()
        .configure(|config| {
            if exposed.has_client_apis() {
                gateway::routes(config);
                (dependencies.console.routes)(config);
            }
        })
        .app_data(web::Data::from(dependencies.context.clone()))
        .app_data(web::Data::new(dependencies.trusted_proxies.clone()))
        .app_data(dependencies.console)
        .app_data(web::Data::new(site::PublicAddress::new(public_url)))
        .app_data(web::Data::new(dependencies.metrics.clone()));
    let (app, shown) = build_documented_app(app.into_utoipa_app(), public_url, exposed);
    app.app_data(web::Data::new(fallback::PathMethods::of(&shown, exposed)))
        .configure(|config| {
            if exposed.has_operations() {
                documentation::routes(config, &dependencies.description, public_url);
            }
        })
        .default_service(web::to(fallback::handle_unrouted))
        .wrap(from_fn(telemetry::instrument_request))
}

/// Adds the documented routes of the exposed APIs. This is the only list of routes.
fn build_documented_app<T>(
    app: utoipa_actix_web::UtoipaApp<T>,
    public_url: Option<&str>,
    exposed: ExposedApis,
) -> (App<T>, OpenApi)
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
{
    let mut app = app.openapi(openapi::base(public_url));
    if exposed.has_client_apis() {
        app = app
            .service(scope("/v1").configure(device::routes))
            .service(scope("/api/v1").configure(admin::routes))
            .configure(downloads::routes);
    }
    app = app
        .service(operations::get_health)
        .service(operations::get_readiness);
    if exposed.has_operations() {
        app = app.service(operations::get_metrics);
    }
    app.split_for_parts()
}
