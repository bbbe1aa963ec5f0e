//! Handlers for app keys of the gateway.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::facts::{KeyFactsResponse, read_expiry};
use super::{CreateRequest, CredentialResource, id_of, render};
use crate::http::admin::release_transitions::NoArguments;
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{KeyPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::respond;
use crate::http::value_schemas::AppKeyRoleValue;
use crate::services::credentials::{IssuedCredential, NewCredential, app_keys};
use crate::services::{Answer, RequiredPermission};
use slipway_domain::access::{Action, AppKey, AppKeyRole};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(in crate::http::admin) struct CreateAppKeyRequest {
        #[schema(min_length = 1, max_length = 128, example = "handheld SDK")]
        name: Required<String>,
        /// Role: a `device` key may check; an `operator` key may also push.
        #[schema(example = "device")]
        role: Required<String> as AppKeyRoleValue,
        /// Time from which the key is invalid. If absent or null, the key does not expire.
        #[schema(format = DateTime)]
        expires_at: Nullable<String>,
    }
}

impl CreateRequest<AppKeyRole> for CreateAppKeyRequest {
    fn read(self, fields: &mut FieldReader, now: DateTime<Utc>) -> Option<NewCredential<AppKeyRole>> {
        let name = fields.required("name", self.name, Name::parse);
        let role = fields.required("role", self.role, |text: String| AppKeyRole::parse(&text));
        let expires_at = read_expiry(fields, self.expires_at, now);
        Some(NewCredential {
            name: name?,
            role: role?,
            expires_at,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct AppKeyResponse {
    #[schema(format = "uuid")]
    id: String,
    name: String,
    #[schema(value_type = AppKeyRoleValue)]
    role: &'static str,
    /// Value that a client sends as `app_key`.
    #[schema(example = "123456789012")]
    app_key: String,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    facts: KeyFactsResponse,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedAppKeyResponse {
    #[serde(flatten)]
    key_facts: AppKeyResponse,
    /// Secret that a client signs with; shown only in this response.
    app_secret: String,
}

impl From<&Versioned<AppKey>> for AppKeyResponse {
    fn from(stored: &Versioned<AppKey>) -> Self {
        Self {
            id: stored.value.id.to_string(),
            name: stored.value.name.to_string(),
            role: stored.value.role.as_str(),
            app_key: stored.value.app_key.clone(),
            created_at: stored.created_at,
            facts: KeyFactsResponse::from(&stored.value.facts),
        }
    }
}

impl From<&IssuedCredential<AppKey>> for CreatedAppKeyResponse {
    fn from(issued: &IssuedCredential<AppKey>) -> Self {
        Self {
            key_facts: AppKeyResponse::from(&issued.stored),
            app_secret: issued.secret.clone(),
        }
    }
}

impl CredentialResource for AppKey {
    type Response = AppKeyResponse;
    type IssuedResponse = CreatedAppKeyResponse;
}

/// Create an app key
///
/// The secret is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_app_key", params(TenantPath, IdempotencyKey),
    request_body = CreateAppKeyRequest,
    responses((status = 201, description = "Created", body = CreatedAppKeyResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/app-keys")]
pub(super) async fn create_app_key(
    call: Call<TenantPath, Json<CreateAppKeyRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create::<AppKey>(call).await
}

/// Rotate the secret of an app key
///
/// The previous secret stays valid until the next rotation, so that devices can be migrated one by one. The new secret
/// is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "rotate_app_key", params(KeyPath, IfMatch, IdempotencyKey), request_body = NoArguments,
    responses((status = 200, description = "Rotated", body = CreatedAppKeyResponse),
        WriteProblems))]
#[post("/tenants/{tenant_id}/app-keys/{id}/rotate")]
pub(super) async fn rotate_app_key(call: Call<KeyPath, Json<NoArguments>>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let KeyPath { tenant_id, id } = call.path;
    let permission = RequiredPermission::in_tenant(tenant_id, Action::ManageKeys);
    respond::create(&call, permission, render_rotated, async |reservation| {
        let once = reservation.once_with_secret(render_rotated, id_of);
        app_keys::rotate(&call.ctx, &call.caller, tenant_id, id, &precondition, once).await
    })
    .await
}

fn render_rotated(issued: &IssuedCredential<AppKey>) -> Answer {
    render(StatusCode::OK, issued)
}

/// List app keys
///
/// Returns the keys without their secrets.
#[utoipa::path(tag = "keys", operation_id = "list_app_keys", params(TenantPath, PageQuery),
    responses((status = 200, description = "Keys without their secrets", body = PageResponse<AppKeyResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/app-keys")]
pub(super) async fn list_app_keys(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    super::list::<AppKey>(call).await
}

/// Get an app key
///
/// Returns the key without its secret.
#[utoipa::path(tag = "keys", operation_id = "get_app_key", params(KeyPath),
    responses((status = 200, description = "The key without its secret", body = AppKeyResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/app-keys/{id}")]
pub(super) async fn get_app_key(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    super::get::<AppKey>(call).await
}

/// Delete an app key
///
/// The key becomes invalid immediately.
#[utoipa::path(tag = "keys", operation_id = "delete_app_key", params(KeyPath, IfMatch),
    responses((status = 204, description = "Deleted; the key is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/app-keys/{id}")]
pub(super) async fn delete_app_key(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    super::delete::<AppKey>(call).await
}
