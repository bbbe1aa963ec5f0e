//! Handlers for the resources of an app.

use actix_web::{HttpResponse, get, patch};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::{PrioritizedJson, RequestPriority};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{AppPath, ResourcePath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::http::value_schemas::ResourceKindValue;
use crate::services::resources::{self, ResourceChanges};
use slipway_domain::catalog::app::{Resource, ResourceKind};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(super) struct UpdateResourceRequest {
        /// Display name; null removes it.
        #[schema(min_length = 1, max_length = 128)]
        name: Nullable<String>,
        /// Kind: `apk`, `miniapp`, `offline_package`, `config`, `firmware` or `other`.
        #[schema(example = "miniapp")]
        kind: Optional<String> as ResourceKindValue,
        /// Off switch: `false` stops all offers of the resource.
        enabled: Optional<bool>,
        /// `true` offers the installed version again if the device reports another digest for it.
        repair_on_mismatch: Optional<bool>,
    }
}

#[derive(Serialize, ToSchema)]
struct ResourceResponse {
    identifier: String,
    name: Option<String>,
    #[schema(value_type = ResourceKindValue)]
    kind: &'static str,
    enabled: bool,
    repair_on_mismatch: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Versioned<Resource>> for ResourceResponse {
    fn from(stored: &Versioned<Resource>) -> Self {
        let resource = &stored.value;
        Self {
            identifier: resource.identifier.to_string(),
            name: resource.name.as_ref().map(ToString::to_string),
            kind: resource.kind.as_str(),
            enabled: resource.enabled,
            repair_on_mismatch: resource.repair_on_mismatch,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// List the resources of an app
///
/// A resource is created with its first release.
#[utoipa::path(tag = "apps", operation_id = "list_resources", params(AppPath, PageQuery),
    responses((status = 200, description = "Resources by identifier", body = PageResponse<ResourceResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/resources")]
pub(super) async fn list_resources(call: Call<AppPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let AppPath {
        tenant_id,
        package_name,
    } = &call.path;
    let found = resources::list(&call.ctx, &call.caller, *tenant_id, package_name, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| ResourceResponse::from(&stored))))
}

/// Get a resource
///
/// Returns the resource with its off switch and its kind.
#[utoipa::path(tag = "apps", operation_id = "get_resource", params(ResourcePath),
    responses((status = 200, description = "The resource", body = ResourceResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}")]
pub(super) async fn get_resource(call: Call<ResourcePath>) -> Result<HttpResponse, Problem> {
    let ResourcePath {
        tenant_id,
        package_name,
        identifier,
    } = &call.path;
    let stored = resources::get(&call.ctx, &call.caller, *tenant_id, package_name, identifier).await?;
    Ok(respond::respond_versioned::<ResourceResponse, _>(&stored))
}

impl UpdateResourceRequest {
    pub(super) fn read(self) -> Result<ResourceChanges, Problem> {
        let mut fields = FieldReader::for_update();
        let changes = ResourceChanges {
            name: fields.nullable("name", self.name, Name::parse),
            kind: fields.optional_non_null("kind", self.kind, |text: String| ResourceKind::parse(&text)),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
            repair_on_mismatch: fields.optional_non_null("repair_on_mismatch", self.repair_on_mismatch, Ok),
        };
        fields.finish()?;
        Ok(changes)
    }
}

impl RequestPriority for UpdateResourceRequest {
    fn is_urgent(&self) -> bool {
        self.enabled.value() == Some(&false)
    }
}

/// Update a resource
///
/// Absent fields keep their values. `"enabled": false` stops all offers of the resource immediately.
#[utoipa::path(tag = "apps", operation_id = "update_resource", params(ResourcePath, IfMatch),
    request_body = UpdateResourceRequest,
    responses((status = 200, description = "Updated", body = ResourceResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}")]
pub(super) async fn update_resource(
    mut call: Call<ResourcePath, PrioritizedJson<UpdateResourceRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = call.body.take().read()?;
    let precondition = call.precondition()?;
    let (ctx, caller, path) = (&call.ctx, &call.caller, &call.path);
    let (tenant, app) = (path.tenant_id, &path.package_name);
    let done = resources::update(ctx, caller, tenant, app, &path.identifier, changes, &precondition).await?;
    Ok(respond::respond_written_versioned::<ResourceResponse, _>(&done))
}
