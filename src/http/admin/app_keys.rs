//! Handlers for app keys of the gateway.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_fields::{KeyFactsResponse, read_expiry};
use super::release_transitions::NoArguments;
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{KeyPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::AppKeyRoleValue;
use crate::services::Answer;
use crate::services::app_keys::{self, IssuedAppKey};
use slipway_domain::access::{Action, AppKey, AppKeyRole};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateAppKeyRequest {
    #[schema(value_type = String, required, max_length = 128, example = "handheld SDK")]
    #[serde(default)]
    name: Patch<String>,
    /// Role: a `device` key may check; an `operator` key may also push.
    #[schema(value_type = AppKeyRoleValue, required, example = "device")]
    #[serde(default)]
    role: Patch<String>,
    /// Time from which the key is invalid. If absent or null, the key does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    expires_at: Patch<String>,
}

#[derive(Serialize, ToSchema)]
struct AppKeyResponse {
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
struct CreatedAppKeyResponse {
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

impl CreateAppKeyRequest {
    fn read(self, now: DateTime<Utc>) -> Result<(Name, AppKeyRole, Option<DateTime<Utc>>), Problem> {
        let mut fields = FieldReader::default();
        let name = fields.required("name", self.name, Name::parse);
        let role = fields.required("role", self.role, |text: String| AppKeyRole::parse(&text));
        let expires_at = read_expiry(&mut fields, self.expires_at, now);
        let (Some(name), Some(role)) = (name, role) else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        Ok((name, role, expires_at))
    }
}

/// Create an app key
///
/// The secret is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_app_key", params(TenantPath),
    request_body = CreateAppKeyRequest,
    responses((status = 201, description = "Created", body = CreatedAppKeyResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/app-keys")]
pub(super) async fn create_app_key(
    mut call: Call<TenantPath, Json<CreateAppKeyRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read(call.ctx.now())?;
    let tenant = call.path.tenant_id;
    let render = |made: &IssuedAppKey| render_created(StatusCode::CREATED, made);
    let permission = (Some(tenant), Action::ManageKeys);
    respond::create(&call, permission, render, async |reservation| {
        let once = reservation.once_with_secret(render, |made| made.stored.value.id.to_string());
        app_keys::create(&call.ctx, &call.caller, tenant, new, once).await
    })
    .await
}

/// Rotate the secret of an app key
///
/// The previous secret stays valid until the next rotation, so that devices can be migrated one by one. The new secret
/// is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "rotate_app_key", params(KeyPath), request_body = NoArguments,
    responses((status = 200, description = "Rotated", body = CreatedAppKeyResponse),
        WriteProblems))]
#[post("/tenants/{tenant_id}/app-keys/{id}/rotate")]
pub(super) async fn rotate_app_key(call: Call<KeyPath, Json<NoArguments>>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let render = |made: &IssuedAppKey| render_created(StatusCode::OK, made);
    let permission = (Some(call.path.tenant_id), Action::ManageKeys);
    respond::create(&call, permission, render, async |reservation| {
        let once = reservation.once_with_secret(render, |made| made.stored.value.id.to_string());
        let path = (call.path.tenant_id, call.path.id);
        app_keys::rotate(&call.ctx, &call.caller, path, &precondition, once).await
    })
    .await
}

fn render_created(status: StatusCode, made: &IssuedAppKey) -> Answer {
    let response = CreatedAppKeyResponse {
        key_facts: AppKeyResponse::from(&made.stored),
        app_secret: made.app_secret.clone(),
    };
    respond::answer(status, &response, &made.stored.etag)
}

/// List app keys
#[utoipa::path(tag = "keys", operation_id = "list_app_keys", params(TenantPath, PageQuery),
    responses((status = 200, description = "Keys without their secrets", body = PageResponse<AppKeyResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/app-keys")]
pub(super) async fn list_app_keys(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = app_keys::list(&call.ctx, &call.caller, call.path.tenant_id, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| AppKeyResponse::from(&stored))))
}

/// Get an app key
#[utoipa::path(tag = "keys", operation_id = "get_app_key", params(KeyPath),
    responses((status = 200, description = "The key without its secret", body = AppKeyResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/app-keys/{id}")]
pub(super) async fn get_app_key(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    let stored = app_keys::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.id).await?;
    Ok(respond::respond_versioned::<AppKeyResponse, _>(&stored))
}

/// Delete an app key
#[utoipa::path(tag = "keys", operation_id = "delete_app_key", params(KeyPath),
    responses((status = 204, description = "Deleted; the key is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/app-keys/{id}")]
pub(super) async fn delete_app_key(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    let done = app_keys::delete(
        &call.ctx,
        &call.caller,
        call.path.tenant_id,
        call.path.id,
        &precondition,
    )
    .await?;
    Ok(respond::respond_deleted(done.revision.as_ref()))
}
