//! Handlers for artifacts.

mod response;
mod upload;

use actix_web::{HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use self::response::{ArtifactResponse, ArtifactWithReleasesResponse};
use crate::http::body::Json;
use crate::http::call::Call;
use crate::http::downloads::{DownloadKind, send};
use crate::http::fields::FieldReader;
use crate::http::openapi::{DownloadProblems, IfMatch, IfNoneMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageResponse, page_request};
use crate::http::path::{ArtifactPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::http::value_schemas::{ArtifactKindValue, BinaryValue};
use crate::services::artifacts;
use slipway_domain::catalog::artifact::{ArtifactFilter, ArtifactKind};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::text::PackageName;

/// Registers the routes of artifacts.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(upload::upload_artifact)
        .service(list_artifacts)
        .service(get_artifact)
        .service(get_artifact_content)
        .service(update_artifact)
        .service(replace_artifact_link)
        .service(delete_artifact);
}

/// Pagination and filters of an artifact list.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactsQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    pub(crate) limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1)]
    pub(crate) cursor: Option<String>,
    /// Only artifacts of this kind.
    #[param(value_type = Option<ArtifactKindValue>)]
    pub(crate) kind: Option<String>,
    /// Only packages with this name.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    pub(crate) package_name: Option<String>,
    /// `true`: only artifacts without a release other than discarded ones; `false`: only the others.
    #[param(value_type = Option<bool>)]
    pub(crate) unused: Option<String>,
    /// `true`: only artifacts whose stored content is damaged or missing; `false`: only the others.
    #[param(value_type = Option<bool>)]
    pub(crate) damaged: Option<String>,
}

request! {
    pub(super) struct UpdateArtifactRequest {
        /// `true` excludes the artifact from the deletion of unused ones.
        keep: Optional<bool>,
    }
}

/// Filters of a list.
pub(crate) struct Filters {
    kind: Option<ArtifactKind>,
    package_name: Option<PackageName>,
    is_unused: Option<bool>,
    is_damaged: Option<bool>,
}

impl Filters {
    pub(super) fn read(query: ArtifactsQuery) -> Result<Self, Problem> {
        let flag = |text: String| {
            text.parse::<bool>()
                .map_err(|_| Invalid::new("must be true or false"))
        };
        let mut fields = FieldReader::default();
        let filters = Self {
            kind: fields.query_param("kind", query.kind, |text: String| ArtifactKind::parse(&text)),
            package_name: fields.query_param("package_name", query.package_name, PackageName::parse),
            is_unused: fields.query_param("unused", query.unused, flag),
            is_damaged: fields.query_param("damaged", query.damaged, flag),
        };
        fields.finish()?;
        Ok(filters)
    }

    pub(crate) fn filter(&self) -> ArtifactFilter<'_> {
        ArtifactFilter {
            kind: self.kind,
            package_name: self.package_name.as_ref().map(PackageName::as_str),
            is_unused: self.is_unused,
            is_damaged: self.is_damaged,
        }
    }
}

impl UpdateArtifactRequest {
    /// Returns the exemption from the deletion of unused artifacts, if it is given.
    pub(super) fn read(self) -> Result<Option<bool>, Problem> {
        let mut fields = FieldReader::for_update();
        let keep = fields.optional_non_null("keep", self.keep, Ok);
        fields.finish()?;
        Ok(keep)
    }
}

/// List artifacts
///
/// Lists the artifacts of a tenant, newest first.
#[utoipa::path(tag = "artifacts", operation_id = "list_artifacts", params(TenantPath, ArtifactsQuery),
    responses((status = 200, description = "Artifacts, newest first", body = PageResponse<ArtifactResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/artifacts")]
pub(super) async fn list_artifacts(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let query: ArtifactsQuery = call.query()?;
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let filters = Filters::read(query)?;
    let (tenant, filter) = (call.path.tenant_id, filters.filter());
    let found = artifacts::list(&call.ctx, &call.caller, tenant, &filter, &page).await?;
    let item = |stored| ArtifactResponse::of(&call.ctx, &stored);
    Ok(HttpResponse::Ok().json(PageResponse::new(found, item)))
}

/// Get an artifact
///
/// Returns the artifact with the releases that use it.
#[utoipa::path(tag = "artifacts", operation_id = "get_artifact", params(ArtifactPath),
    responses((status = 200, description = "The artifact, with the releases that use it", body = ArtifactWithReleasesResponse),
        ReadProblems))]
#[get("/tenants/{tenant_id}/artifacts/{sha256}")]
pub(super) async fn get_artifact(call: Call<ArtifactPath>) -> Result<HttpResponse, Problem> {
    let ArtifactPath { tenant_id, sha256 } = &call.path;
    let found = artifacts::get(&call.ctx, &call.caller, *tenant_id, sha256).await?;
    let body = ArtifactWithReleasesResponse::of(&call.ctx, &found);
    Ok(respond::respond_object(&body, &found.artifact.etag))
}

/// Get the content of an artifact
///
/// Ranges and conditional requests work as for the download link.
#[utoipa::path(tag = "artifacts", operation_id = "get_artifact_content", params(ArtifactPath, IfNoneMatch),
    responses((status = 200, description = "The file", body = inline(BinaryValue), content_type = "application/octet-stream"),
        (status = 206, description = "The requested range of the file", body = inline(BinaryValue), content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` contains the current `ETag`"), ReadProblems, DownloadProblems))]
#[get("/tenants/{tenant_id}/artifacts/{sha256}/content")]
pub(super) async fn get_artifact_content(call: Call<ArtifactPath>) -> Result<HttpResponse, Problem> {
    let ArtifactPath { tenant_id, sha256 } = &call.path;
    let found = artifacts::find_content(&call.ctx, &call.caller, *tenant_id, sha256).await?;
    send(&call.ctx, &call.request, &found, DownloadKind::Private).await
}

/// Update an artifact
///
/// Excludes an artifact from the deletion of unused ones, or includes it again.
#[utoipa::path(tag = "artifacts", operation_id = "update_artifact", params(ArtifactPath, IfMatch),
    request_body = UpdateArtifactRequest,
    responses((status = 200, description = "Updated", body = ArtifactResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/artifacts/{sha256}")]
pub(super) async fn update_artifact(
    mut call: Call<ArtifactPath, Json<UpdateArtifactRequest>>,
) -> Result<HttpResponse, Problem> {
    let keep = call.body.take().read()?;
    let precondition = call.precondition()?;
    let ArtifactPath { tenant_id, sha256 } = &call.path;
    let done = artifacts::set_keep(&call.ctx, &call.caller, *tenant_id, sha256, keep, &precondition).await?;
    let body = ArtifactResponse::of(&call.ctx, &done.value);
    Ok(respond::respond_written(&body, &done.value.etag, None))
}

/// Replace the download link of an artifact
///
/// The previous link is invalid from now on. Offers contain the new one.
#[utoipa::path(tag = "artifacts", operation_id = "replace_artifact_link", params(ArtifactPath, IfMatch),
    responses((status = 200, description = "The artifact with its new link", body = ArtifactResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/artifacts/{sha256}/new-link")]
pub(super) async fn replace_artifact_link(call: Call<ArtifactPath>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let ArtifactPath { tenant_id, sha256 } = &call.path;
    let done = artifacts::replace_link(&call.ctx, &call.caller, *tenant_id, sha256, &precondition).await?;
    let body = ArtifactResponse::of(&call.ctx, &done.value);
    Ok(respond::respond_written(
        &body,
        &done.value.etag,
        done.revision.as_ref(),
    ))
}

/// Delete an artifact
///
/// An artifact that a release other than a discarded one uses is in use.
#[utoipa::path(tag = "artifacts", operation_id = "delete_artifact", params(ArtifactPath, IfMatch),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/artifacts/{sha256}")]
pub(super) async fn delete_artifact(call: Call<ArtifactPath>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let ArtifactPath { tenant_id, sha256 } = &call.path;
    let done = artifacts::delete(&call.ctx, &call.caller, *tenant_id, sha256, &precondition).await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}
