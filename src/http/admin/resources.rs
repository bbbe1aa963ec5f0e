//! Handlers for the resources of an app.

use actix_web::{HttpResponse, get, patch};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::body::{PrioritizedJson, RequestPriority};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{AppPath, ResourcePath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::ResourceKindValue;
use crate::services::resources::{self, ResourceChanges};
use slipway_domain::catalog::app::{Resource, ResourceKind};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateResourceRequest {
    /// Display name; null removes it.
    #[schema(value_type = Option<String>, max_length = 128)]
    #[serde(default)]
    name: Patch<String>,
    /// Kind: `apk`, `miniapp`, `offline_package`, `config`, `firmware` or `other`.
    #[schema(value_type = Option<ResourceKindValue>, example = "miniapp")]
    #[serde(default)]
    kind: Patch<String>,
    /// Off switch: `false` stops all offers of the resource.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    enabled: Patch<bool>,
    /// `true` offers the installed version again if the device reports another digest for it.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    repair_on_mismatch: Patch<bool>,
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
        matches!(self.enabled, Patch::Value(false))
    }
}

/// Update a resource
#[utoipa::path(tag = "apps", operation_id = "update_resource", params(ResourcePath),
    request_body = UpdateResourceRequest,
    responses((status = 200, description = "Updated", body = ResourceResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/apps/{package_name}/resources/{identifier}")]
pub(super) async fn update_resource(
    mut call: Call<ResourcePath, PrioritizedJson<UpdateResourceRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = call.body.take().read()?;
    let precondition = call.precondition()?;
    let path = (
        call.path.tenant_id,
        &call.path.package_name,
        &call.path.identifier,
    );
    let done = resources::update(&call.ctx, &call.caller, path, changes, &precondition).await?;
    Ok(respond::respond_written_versioned::<ResourceResponse, _>(&done))
}
