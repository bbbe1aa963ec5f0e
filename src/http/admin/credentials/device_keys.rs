//! Handlers for device keys of the device API.

use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::facts::{KeyFactsResponse, read_expiry};
use super::{CreateRequest, CredentialResource};
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{KeyPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::services::credentials::{IssuedCredential, NewCredential};
use slipway_domain::access::DeviceKey;
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(in crate::http::admin) struct CreateDeviceKeyRequest {
        #[schema(min_length = 1, max_length = 128, example = "handhelds")]
        name: Required<String>,
        /// Time from which the key is invalid. If absent or null, the key does not expire.
        #[schema(format = DateTime)]
        expires_at: Nullable<String>,
    }
}

impl CreateRequest<()> for CreateDeviceKeyRequest {
    fn read(self, fields: &mut FieldReader, now: DateTime<Utc>) -> Option<NewCredential<()>> {
        let name = fields.required("name", self.name, Name::parse);
        let expires_at = read_expiry(fields, self.expires_at, now);
        Some(NewCredential {
            name: name?,
            role: (),
            expires_at,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeviceKeyResponse {
    #[schema(format = "uuid")]
    id: String,
    name: String,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    facts: KeyFactsResponse,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedDeviceKeyResponse {
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

impl From<&IssuedCredential<DeviceKey>> for CreatedDeviceKeyResponse {
    fn from(issued: &IssuedCredential<DeviceKey>) -> Self {
        Self {
            key_facts: DeviceKeyResponse::from(&issued.stored),
            device_key: issued.secret.clone(),
        }
    }
}

impl CredentialResource for DeviceKey {
    type Response = DeviceKeyResponse;
    type IssuedResponse = CreatedDeviceKeyResponse;
}

/// Create a device key
///
/// The key is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_device_key", params(TenantPath, IdempotencyKey),
    request_body = CreateDeviceKeyRequest,
    responses((status = 201, description = "Created", body = CreatedDeviceKeyResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/device-keys")]
pub(super) async fn create_device_key(
    call: Call<TenantPath, Json<CreateDeviceKeyRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create::<DeviceKey>(call).await
}

/// List device keys
///
/// Returns the keys without their secrets.
#[utoipa::path(tag = "keys", operation_id = "list_device_keys", params(TenantPath, PageQuery),
    responses((status = 200, description = "Keys without their secrets", body = PageResponse<DeviceKeyResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/device-keys")]
pub(super) async fn list_device_keys(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    super::list::<DeviceKey>(call).await
}

/// Get a device key
///
/// Returns the key without its secret.
#[utoipa::path(tag = "keys", operation_id = "get_device_key", params(KeyPath),
    responses((status = 200, description = "The key without its secret", body = DeviceKeyResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/device-keys/{id}")]
pub(super) async fn get_device_key(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    super::get::<DeviceKey>(call).await
}

/// Delete a device key
///
/// The key becomes invalid immediately.
#[utoipa::path(tag = "keys", operation_id = "delete_device_key", params(KeyPath, IfMatch),
    responses((status = 204, description = "Deleted; the key is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/device-keys/{id}")]
pub(super) async fn delete_device_key(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    super::delete::<DeviceKey>(call).await
}
