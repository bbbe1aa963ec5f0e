//! API description, generated from the handlers. It is committed as `openapi/slipway.json` and served at
//! `/openapi.json`.

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, ServerBuilder};
use utoipa::{IntoResponses, Modify, OpenApi as _};

use super::problem::{PROBLEM_JSON, ProblemDocument};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management for device fleets. Errors are RFC 9457 problem documents with a stable `code`. \
            Lists are paginated by `cursor`. Single objects have an `ETag` for use in `If-Match`. Creates accept an \
            `Idempotency-Key`.",
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
    if let Some(url) = public_url {
        api.servers = Some(vec![ServerBuilder::new().url(url).build()]);
    }
    api
}

/// Problems that any read may return.
pub(super) struct ReadProblems;

/// Problems that any write may return.
pub(super) struct WriteProblems;

/// Problems that an upload may return.
pub(super) struct UploadProblems;

/// Problems that a download may return.
pub(super) struct DownloadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 404, 429, 503])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503])
    }
}

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503, 507])
    }
}

impl IntoResponses for DownloadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[404, 412, 416, 503])
    }
}

fn problems(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses
        .iter()
        .map(|status| {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new()
                .description(described(*status))
                .content(PROBLEM_JSON, content)
                .build();
            (status.to_string(), RefOr::T(response))
        })
        .collect()
}

const fn described(status: u16) -> &'static str {
    match status {
        400 => "Invalid fields, listed in `errors`",
        401 => "Missing or invalid credential",
        403 => "Permission denied",
        404 => "Not found, or owned by another tenant",
        408 => "Body not received in time; the connection is closed",
        409 => "Already exists, wrong state or version conflict; `code` names the reason",
        412 => "Object changed since the `ETag` in `If-Match`",
        413 => "Body too large",
        416 => "Range outside of the file",
        415 => "Body with a type other than JSON, or with a content coding",
        422 => "`Idempotency-Key` already used with another body",
        429 => "Too many requests; see `Retry-After`",
        507 => "The tenant's quota or the artifact store is full",
        _ => "Temporarily unavailable; see `Retry-After`",
    }
}
