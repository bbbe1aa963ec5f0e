//! Handlers for API tokens of pipelines.

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
use crate::http::value_schemas::{RoleValue, TenantRoleValue};
use crate::services::credentials::{IssuedCredential, NewCredential};
use slipway_domain::access::{ApiToken, Role};
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

request! {
    pub(in crate::http::admin) struct CreateApiTokenRequest {
        #[schema(min_length = 1, max_length = 128, example = "ci")]
        name: Required<String>,
        /// Role: `admin`, `publisher` or `viewer`.
        #[schema(example = "publisher")]
        role: Required<String> as TenantRoleValue,
        /// Time from which the token is invalid. If absent or null, the token does not expire.
        #[schema(format = DateTime)]
        expires_at: Nullable<String>,
    }
}

impl CreateRequest<Role> for CreateApiTokenRequest {
    fn read(self, fields: &mut FieldReader, now: DateTime<Utc>) -> Option<NewCredential<Role>> {
        let name = fields.required("name", self.name, Name::parse);
        let role = fields.required("role", self.role, |text: String| Role::parse_of_tenant(&text));
        let expires_at = read_expiry(fields, self.expires_at, now);
        Some(NewCredential {
            name: name?,
            role: role?,
            expires_at,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApiTokenResponse {
    #[schema(format = "uuid")]
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

/// Response for a token of a tenant or of the platform.
impl<T: Clone + Into<ApiToken>> From<&Versioned<T>> for ApiTokenResponse {
    fn from(stored: &Versioned<T>) -> Self {
        let token: ApiToken = stored.value.clone().into();
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            role: token.role.as_str(),
            created_at: stored.created_at,
            facts: KeyFactsResponse::from(&token.facts),
        }
    }
}

impl<T: Clone + Into<ApiToken>> From<&IssuedCredential<T>> for CreatedApiTokenResponse {
    fn from(issued: &IssuedCredential<T>) -> Self {
        Self {
            token_facts: ApiTokenResponse::from(&issued.stored),
            token: issued.secret.clone(),
        }
    }
}

impl CredentialResource for ApiToken {
    type Response = ApiTokenResponse;
    type IssuedResponse = CreatedApiTokenResponse;
}

/// Create an API token
///
/// The token is shown only in this response.
#[utoipa::path(tag = "keys", operation_id = "create_api_token", params(TenantPath, IdempotencyKey),
    request_body = CreateApiTokenRequest,
    responses((status = 201, description = "Created", body = CreatedApiTokenResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/api-tokens")]
pub(super) async fn create_api_token(
    call: Call<TenantPath, Json<CreateApiTokenRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create::<ApiToken>(call).await
}

/// List API tokens
///
/// Returns the tokens of the tenant without their secrets.
#[utoipa::path(tag = "keys", operation_id = "list_api_tokens", params(TenantPath, PageQuery),
    responses((status = 200, description = "Tokens without their secrets", body = PageResponse<ApiTokenResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/api-tokens")]
pub(super) async fn list_api_tokens(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    super::list::<ApiToken>(call).await
}

/// Get an API token
///
/// Returns the token without its secret.
#[utoipa::path(tag = "keys", operation_id = "get_api_token", params(KeyPath),
    responses((status = 200, description = "The token without its secret", body = ApiTokenResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/api-tokens/{id}")]
pub(super) async fn get_api_token(call: Call<KeyPath>) -> Result<HttpResponse, Problem> {
    super::get::<ApiToken>(call).await
}

/// Delete an API token
///
/// The token becomes invalid immediately.
#[utoipa::path(tag = "keys", operation_id = "delete_api_token", params(KeyPath, IfMatch),
    responses((status = 204, description = "Deleted; the token is invalid"), WriteProblems))]
#[delete("/tenants/{tenant_id}/api-tokens/{id}")]
pub(super) async fn delete_api_token(call: Call<KeyPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    super::delete::<ApiToken>(call).await
}
