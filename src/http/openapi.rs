//! The API's description: generated from the handlers, kept in `openapi/slipway.json`, served at `/openapi.json`.

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, ServerBuilder};
use utoipa::{IntoResponses, Modify, OpenApi as _};

use super::problem::{PROBLEM_JSON, ProblemDocument};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management for fleets of devices. Errors are RFC 9457 problem documents with a stable \
            `code`; lists page by `cursor`; single objects carry an `ETag` that `If-Match` may demand; creates take an \
            `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemDocument)),
    security(("bearer" = [])),
    modifiers(&Credentials),
    tags(
        (name = "auth", description = "Signing in and out"),
        (name = "tenants", description = "Tenants (platform administrators)"),
        (name = "platform", description = "The platform's administrators, API tokens and audit"),
        (name = "people", description = "People and one's own account"),
        (name = "keys", description = "Keys and tokens; each secret is shown once"),
        (name = "org directory", description = "A tenant's list of org nodes"),
        (name = "apps", description = "Apps and their resources"),
        (name = "releases", description = "Releases and their life"),
        (name = "pins", description = "Who must stay behind, or on one version"),
        (name = "devices", description = "Devices, and what they have installed"),
        (name = "pushes", description = "Packages sent to named devices, and how far each has come"),
        (name = "audit", description = "Who changed what"),
        (name = "device", description = "What devices call"),
        (name = "operations", description = "Health, readiness, metrics"),
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
            scheme("An access token from the login, or an API token"),
        );
        components.add_security_scheme("device_key", scheme("A tenant's device key"));
        components.add_security_scheme(
            "device_token",
            scheme("The token that a device got when it enrolled"),
        );
    }
}

/// What the paths are added to.
pub(super) fn base(public_url: Option<&str>) -> OpenApi {
    let mut api = Base::openapi();
    if let Some(url) = public_url {
        api.servers = Some(vec![ServerBuilder::new().url(url).build()]);
    }
    api
}

/// The problems that any reading call may answer.
pub(super) struct ReadProblems;

/// The problems that any writing call may answer.
pub(super) struct WriteProblems;

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
        400 => "A field is wrong; `errors` names it",
        401 => "No valid credential",
        403 => "The role is too small",
        404 => "Absent, or another tenant's",
        408 => "The body did not arrive in time; the connection is closed",
        409 => "Exists already, wrong state, or a conflict of versions; `code` tells which",
        412 => "The object changed since its `ETag`",
        413 => "The body is too large",
        415 => "The body is no JSON, or is encoded",
        422 => "The `Idempotency-Key` was used with another body",
        429 => "Too many attempts; see `Retry-After`",
        _ => "Unavailable for the moment; see `Retry-After`",
    }
}
