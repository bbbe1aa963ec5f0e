//! API description, generated from the handlers. It is committed as `openapi/slipway.json` and served at
//! `/openapi.json`.

mod code_samples;
mod document;
mod examples;
mod headers;
mod problems;
mod samples;
mod schemas;

use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, ServerBuilder};
use utoipa::{Modify, OpenApi as _};

pub(super) use headers::{IdempotencyKey, IfMatch, IfNoneMatch};
pub(super) use problems::{
    DownloadProblems, OperationsProblems, PageProblems, ReadProblems, UploadProblems, WriteProblems,
};

use super::problem::ProblemDocument;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management for device fleets. Errors are RFC 9457 problem documents with a stable `code`. \
            Lists are paginated by `cursor`. Single objects have an `ETag` for use in `If-Match`. Creates accept an \
            `Idempotency-Key`.",
        contact(name = "Slipway"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemDocument)),
    security(("bearer" = [])),
    modifiers(&Credentials),
    tags(
        (name = "auth", description = "Login, refresh and logout"),
        (name = "tenants", description = "Tenants, managed by platform administrators"),
        (name = "platform", description = "Administrators, API tokens and audit log of the platform"),
        (name = "people", description = "Users, and the caller's own account"),
        (name = "keys", description = "Keys and tokens, whose secrets are shown once"),
        (name = "org directory", description = "Org nodes of a tenant"),
        (name = "apps", description = "Apps and their resources"),
        (name = "releases", description = "Releases and their lifecycle"),
        (name = "artifacts", description = "Files of releases, and their downloads"),
        (name = "pins", description = "Pins, which limit a device or org node to certain versions"),
        (name = "devices", description = "Devices and their installed resources"),
        (name = "pushes", description = "Packages sent to named devices, and their delivery state"),
        (name = "audit", description = "Audit log of changes"),
        (name = "device", description = "Device API"),
        (name = "operations", description = "Health, readiness and metrics"),
    )
)]
struct Base;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut OpenApi) {
        let scheme = |description: &str| {
            let http = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description));
            SecurityScheme::Http(http.build())
        };
        let components = api.components.get_or_insert_with(Default::default);
        components.add_security_scheme(
            "bearer",
            scheme("Access token returned by a login, or an API token"),
        );
        components.add_security_scheme("device_key", scheme("Device key of a tenant"));
        components.add_security_scheme(
            "device_token",
            scheme("Token that a device received at its enrolment"),
        );
    }
}

/// Returns the API description without paths.
pub(super) fn base(public_url: Option<&str>) -> OpenApi {
    let mut api = Base::openapi();
    let server = ServerBuilder::new()
        .url(public_url.unwrap_or("/"))
        .description(Some("Installation of Slipway"));
    api.servers = Some(vec![server.build()]);
    api
}

/// Returns the document of an API description, completed with what the handlers do not state themselves.
pub(super) fn document(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    problems::complete(&mut document);
    schemas::complete(&mut document);
    headers::complete(&mut document);
    examples::complete(&mut document);
    code_samples::complete(&mut document);
    document
}
