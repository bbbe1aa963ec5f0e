//! Handlers for device keys of the device API.

use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_fields::{KeyFactsResponse, read_expiry};
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{KeyPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::services::Answer;
use crate::services::device_keys::{self, IssuedDeviceKey};
use slipway_domain::access::{Action, DeviceKey};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateDeviceKeyRequest {
    #[schema(value_type = String, required, max_length = 128, example = "handhelds")]
    #[serde(default)]
    name: Patch<String>,
    /// Time from which the key is invalid. If absent or null, the key does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    expires_at: Patch<String>,
}

#[derive(Serialize, ToSchema)]
struct DeviceKeyResponse {
    id: String,
    name: String,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    facts: KeyFactsResponse,
}

#[derive(Serialize, ToSchema)]
struct CreatedDeviceKeyResponse {
    #[serde(flatten)]
    key_facts: DeviceKeyResponse,
    /// Secret for `Authorization: Bearer …` on the device API; shown only in this response.
    #[schema(example = "slipway_device_…")]
    device_key: String,
}

impl From<&Versioned<DeviceKey>> for DeviceKeyResponse {
    fn from(stored: &Versioned<DeviceKey>) -> Self {
        Self {
            id: stored.value.id.to_string(),
            name: stored.value.name.to_string(),
            created_at: stored.created_at,
            facts: KeyFactsResponse::from(&stored.value.facts),
        }
    }
}

impl CreateDeviceKeyRequest {
    fn read(self, now: DateTime<Utc>) -> Result<(Name, Option<DateTime<Utc>>), Problem> {
        let mut fields = FieldReader::default();
        let name = fields.required("name", self.name, Name::parse);
        let expires_at = read_expiry(&mut fields, self.expires_at, now);
        let Some(name) = name else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        Ok((name, expires_at))
    }
}

/// Create a device key
///
/// The key is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_device_key", params(TenantPath),
    request_body = CreateDeviceKeyRequest,
    responses((status = 201, description = "Created", body = CreatedDeviceKeyResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/device-keys")]
pub(super) async fn create_device_key(
    mut call: Call<TenantPath, Json<CreateDeviceKeyRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read(call.ctx.now())?;
    let tenant = call.path.tenant_id;
    let permission = (Some(tenant), Action::ManageKeys);
    respond::create(&call, permission, render_created, async |reservation| {
        let once = reservation.once_with_secret(render_created, |made| made.stored.value.id.to_string());
        device_keys::create(&call.ctx, &call.caller, tenant, new, once).await
    })
    .await
}

fn render_created(made: &IssuedDeviceKey) -> Answer {
    let response = CreatedDeviceKeyResponse {
        key_facts: DeviceKeyResponse::from(&made.stored),
        device_key: made.device_key.clone(),
    };
    respond::created_answer(&response, &made.stored.etag)
}

/// List device keys
#[utoipa::path(tag = "keys", operation_id = "list_device_keys", params(TenantPath, PageQuery),
    responses((status = 200, description = "Keys without their secrets", body = PageResponse<DeviceKeyResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/device-keys")]
pub(super) async fn list_device_keys(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = device_keys::list(&call.ctx, &call.caller, call.path.tenant_id, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| {
        DeviceKeyResponse::from(&stored)
    })))
}

/// Get a device key
#[utoipa::path(tag = "keys", operation_id = "get_device_key", params(KeyPath),
    responses((status = 200, description = "The key without its secret", body = DeviceKeyResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/device-keys/{id}")]
pub(super) async fn get_device_key(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    let stored = device_keys::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.id).await?;
    Ok(respond::respond_versioned::<DeviceKeyResponse, _>(&stored))
}

/// Delete a device key
#[utoipa::path(tag = "keys", operation_id = "delete_device_key", params(KeyPath),
    responses((status = 204, description = "Deleted; the key is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/device-keys/{id}")]
pub(super) async fn delete_device_key(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let done = device_keys::delete(
        &call.ctx,
        &call.caller,
        call.path.tenant_id,
        call.path.id,
        &precondition,
    )
    .await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}
