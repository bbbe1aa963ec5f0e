//! Handlers for releases.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, patch, post, put};
use serde::Deserialize;
use utoipa::IntoParams;

use super::publish_releases::OverrideFields;
use super::release_fields::{CreateReleaseRequest, RolloutFields, UpdateReleaseRequest};
use super::release_response::{CreatedReleaseResponse, ReleaseResponse};
use crate::http::body::{Json, PrioritizedJson};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::{AppPath, ReleasePath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::ReleaseStateValue;
use crate::services::releases::{self, CreatedRelease, NewRelease};
use crate::services::{Answer, RequiredPermission};
use slipway_domain::access::Action;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::release::{ReleaseFilter, ReleaseStateKind};
use slipway_domain::catalog::release_content::ReleaseChanges;
use slipway_domain::catalog::rollout::RolloutChanges;
use slipway_domain::catalog::text::Identifier;

/// Pagination and filters of a release list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReleasesQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Only releases of this resource.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    identifier: Option<String>,
    /// Only releases in this state.
    #[param(value_type = Option<ReleaseStateValue>)]
    state: Option<String>,
}

/// Parsed filters of a release list.
struct Filters {
    identifier: Option<Identifier>,
    state: Option<ReleaseStateKind>,
}

impl Filters {
    fn read(query: ReleasesQuery) -> Result<Self, Problem> {
        let mut fields = FieldReader::default();
        let filters = Self {
            identifier: fields.query_param("identifier", query.identifier, Identifier::parse),
            state: fields.query_param("state", query.state, |text: String| {
                ReleaseStateKind::parse(&text)
            }),
        };
        fields.finish()?;
        Ok(filters)
    }

    fn filter(&self) -> ReleaseFilter<'_> {
        ReleaseFilter {
            identifier: self.identifier.as_ref(),
            state: self.state,
        }
    }
}

/// Create a release
///
/// Creates a draft, or publishes immediately with `"publish": true`. Creating the same version with the same digests
/// again returns 200 with the existing release. The fields that differ are listed in `ignored`.
#[utoipa::path(tag = "releases", operation_id = "create_release", params(AppPath, IdempotencyKey),
    request_body = CreateReleaseRequest,
    responses(
        (status = 201, description = "Created", body = CreatedReleaseResponse),
        (status = 200, description = "The version already exists", body = CreatedReleaseResponse),
        WriteProblems
    ))]
#[post("/tenants/{tenant_id}/apps/{package_name}/releases")]
pub(super) async fn create_release(
    mut call: Call<AppPath, Json<CreateReleaseRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = read_new(call.body.take())?;
    let permission = RequiredPermission::in_tenant(call.path.tenant_id, Action::WriteReleases);
    respond::create(&call, permission, render_created, async |reservation| {
        let (path, once) = (&call.path, reservation.once(render_created));
        releases::create(
            &call.ctx,
            &call.caller,
            path.tenant_id,
            &path.package_name,
            new,
            once,
        )
        .await
    })
    .await
}

fn render_created(created: &CreatedRelease) -> Answer {
    let status = if created.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let body = CreatedReleaseResponse {
        release: ReleaseResponse::from(&created.stored),
        ignored: created.ignored.clone(),
    };
    respond::answer(status, &body, &created.stored.etag)
}

pub(super) fn read_new(mut body: CreateReleaseRequest) -> Result<NewRelease, Problem> {
    let mut fields = FieldReader::default();
    let identifier = fields.required(
        "identifier",
        std::mem::take(&mut body.identifier),
        Identifier::parse,
    );
    let publish = fields.optional_non_null("publish", std::mem::take(&mut body.publish), Ok);
    let overrides = OverrideFields {
        force: std::mem::take(&mut body.force),
        accept_signer_change: std::mem::take(&mut body.accept_signer_change),
        accept_unsafe_package: std::mem::take(&mut body.accept_unsafe_package),
    }
    .read(&mut fields);
    let given = body.read_changes(&mut fields);
    for error in given.missing() {
        fields.add_missing(error);
    }
    fields.complete(identifier.map(|identifier| NewRelease {
        identifier,
        given,
        publish: publish.unwrap_or(false).then_some(overrides),
        must_match: false,
    }))
}

pub(super) fn read_changes(body: UpdateReleaseRequest) -> Result<ReleaseChanges, Problem> {
    let mut fields = FieldReader::for_update();
    let changes = body.read_changes(&mut fields);
    fields.finish()?;
    Ok(changes)
}

pub(super) fn read_rollout(rollout: RolloutFields) -> Result<RolloutChanges, Problem> {
    let mut fields = FieldReader::for_update();
    if rollout.is_empty() {
        fields.add_error(FieldError::required("percent"));
    }
    let changes = rollout.read("", &mut fields);
    fields.finish()?;
    Ok(changes)
}

/// List releases
///
/// Returns the releases of the app, newest first, with all fields.
#[utoipa::path(tag = "releases", operation_id = "list_releases", params(AppPath, ReleasesQuery),
    responses((status = 200, description = "Releases, newest first", body = PageResponse<ReleaseResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/releases")]
pub(super) async fn list_releases(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let query: ReleasesQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let filters = Filters::read(query)?;
    let (tenant, package_name) = (call.path.tenant_id, call.path.package_name.clone());
    let body = call
        .run_heavy(async move |ctx, caller| {
            let filter = filters.filter();
            let found = releases::list(&ctx, &caller, tenant, &package_name, &filter, &page).await?;
            let page = PageResponse::new(found, |stored| ReleaseResponse::from(&stored));
            Ok(respond::text_of(&page))
        })
        .await?;
    Ok(respond::text(body))
}

/// Get a release
///
/// Returns the release with its state, content and targeting.
#[utoipa::path(tag = "releases", operation_id = "get_release", params(ReleasePath),
    responses((status = 200, description = "The release", body = ReleaseResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}")]
pub(super) async fn get_release(call: Call<ReleasePath>) -> Result<HttpResponse, Problem> {
    let stored = releases::get(&call.ctx, &call.caller, call.path.address()).await?;
    Ok(respond::respond_versioned::<ReleaseResponse, _>(&stored))
}

/// Update a release
///
/// Version and file fields of a published release cannot be changed.
#[utoipa::path(tag = "releases", operation_id = "update_release", params(ReleasePath, IfMatch),
    request_body = UpdateReleaseRequest,
    responses((status = 200, description = "Updated", body = ReleaseResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}")]
pub(super) async fn update_release(
    mut call: Call<ReleasePath, Json<UpdateReleaseRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = read_changes(call.body.take())?;
    let precondition = call.precondition()?;
    let path = call.path.address();
    let done = releases::update(&call.ctx, &call.caller, path, changes, &precondition).await?;
    Ok(respond::respond_written_versioned::<ReleaseResponse, _>(&done))
}

/// Update the rollout of a release
///
/// Absent fields keep their values. Raising the percentage only adds devices.
#[utoipa::path(tag = "releases", operation_id = "set_rollout", params(ReleasePath, IfMatch), request_body = RolloutFields,
    responses((status = 200, description = "Updated", body = ReleaseResponse), WriteProblems))]
#[put("/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/rollout")]
pub(super) async fn set_rollout(
    mut call: Call<ReleasePath, PrioritizedJson<RolloutFields>>,
) -> Result<HttpResponse, Problem> {
    let changes = read_rollout(call.body.take())?;
    let precondition = call.precondition()?;
    let path = call.path.address();
    let done = releases::set_rollout(&call.ctx, &call.caller, path, changes, &precondition).await?;
    Ok(respond::respond_written_versioned::<ReleaseResponse, _>(&done))
}
