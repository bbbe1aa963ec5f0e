//! Handlers for API tokens of pipelines.

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
use crate::http::value_schemas::RoleValue;
use crate::services::api_tokens::{self, IssuedApiToken};
use crate::services::{Answer, WriteResult};
use slipway_domain::access::{Action, ApiToken, Role};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateApiTokenRequest {
    #[schema(value_type = String, required, max_length = 128, example = "ci")]
    #[serde(default)]
    name: Patch<String>,
    /// Role: `admin`, `publisher` or `viewer`.
    #[schema(value_type = RoleValue, required, example = "publisher")]
    #[serde(default)]
    role: Patch<String>,
    /// Time from which the token is invalid. If absent or null, the token does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    expires_at: Patch<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApiTokenResponse {
    id: String,
    name: String,
    #[schema(value_type = RoleValue)]
    role: &'static str,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    facts: KeyFactsResponse,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedApiTokenResponse {
    #[serde(flatten)]
    token_facts: ApiTokenResponse,
    /// Secret for `Authorization: Bearer …`; shown only in this response.
    #[schema(example = "slipway_token_…")]
    token: String,
}

impl From<&Versioned<ApiToken>> for ApiTokenResponse {
    fn from(stored: &Versioned<ApiToken>) -> Self {
        Self {
            id: stored.value.id.to_string(),
            name: stored.value.name.to_string(),
            role: stored.value.role.as_str(),
            created_at: stored.created_at,
            facts: KeyFactsResponse::from(&stored.value.facts),
        }
    }
}

/// Renders the response to the creation of a token.
pub(super) fn render_created(made: &IssuedApiToken) -> Answer {
    let response = CreatedApiTokenResponse {
        token_facts: ApiTokenResponse::from(&made.stored),
        token: made.token.clone(),
    };
    respond::created_answer(&response, &made.stored.etag)
}

impl CreateApiTokenRequest {
    fn read(self, now: DateTime<Utc>) -> Result<(Name, Role, Option<DateTime<Utc>>), Problem> {
        let mut fields = FieldReader::default();
        let name = fields.required("name", self.name, Name::parse);
        let role = fields.required("role", self.role, |text: String| Role::parse_of_tenant(&text));
        let expires_at = read_expiry(&mut fields, self.expires_at, now);
        let (Some(name), Some(role)) = (name, role) else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        Ok((name, role, expires_at))
    }
}

/// Create an API token
///
/// The token is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_api_token", params(TenantPath),
    request_body = CreateApiTokenRequest,
    responses((status = 201, description = "Created", body = CreatedApiTokenResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/api-tokens")]
pub(super) async fn create_api_token(
    mut call: Call<TenantPath, Json<CreateApiTokenRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read(call.ctx.now())?;
    let tenant = call.path.tenant_id;
    let permission = (Some(tenant), Action::ManageKeys);
    respond::create(&call, permission, render_created, async |reservation| {
        let once = reservation.once_with_secret(render_created, |made| made.stored.value.id.to_string());
        let made = api_tokens::create(&call.ctx, &call.caller, tenant, new, once).await?;
        Ok(WriteResult::without_revision(made))
    })
    .await
}

/// List API tokens
#[utoipa::path(tag = "keys", operation_id = "list_api_tokens", params(TenantPath, PageQuery),
    responses((status = 200, description = "Tokens without their secrets", body = PageResponse<ApiTokenResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/api-tokens")]
pub(super) async fn list_api_tokens(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = api_tokens::list(&call.ctx, &call.caller, call.path.tenant_id, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| ApiTokenResponse::from(&stored))))
}

/// Get an API token
#[utoipa::path(tag = "keys", operation_id = "get_api_token", params(KeyPath),
    responses((status = 200, description = "The token without its secret", body = ApiTokenResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/api-tokens/{id}")]
pub(super) async fn get_api_token(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    let stored = api_tokens::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.id).await?;
    Ok(respond::respond_versioned::<ApiTokenResponse, _>(&stored))
}

/// Delete an API token
#[utoipa::path(tag = "keys", operation_id = "delete_api_token", params(KeyPath),
    responses((status = 204, description = "Deleted; the token is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/api-tokens/{id}")]
pub(super) async fn delete_api_token(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    api_tokens::delete(
        &call.ctx,
        &call.caller,
        call.path.tenant_id,
        call.path.id,
        &precondition,
    )
    .await?;
    Ok(respond::respond_deleted(None))
}
