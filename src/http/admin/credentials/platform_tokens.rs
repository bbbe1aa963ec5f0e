//! Handlers for API tokens of the platform.

use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};

use super::api_tokens::{ApiTokenResponse, CreatedApiTokenResponse};
use super::facts::read_expiry;
use super::{CreateRequest, CredentialResource};
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::PlatformTokenPath;
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::value_schemas::PlatformRoleValue;
use crate::services::credentials::NewCredential;
use slipway_domain::access::{PlatformToken, Role};
use slipway_domain::catalog::text::Name;

request! {
    pub(in crate::http::admin) struct CreatePlatformTokenRequest {
        #[schema(min_length = 1, max_length = 128, example = "provisioning")]
        name: Required<String>,
        /// Role: `platform_admin`, which is also the default.
        #[schema(example = "platform_admin")]
        role: Nullable<String> as PlatformRoleValue,
        /// Time from which the token is invalid. If absent or null, the token does not expire.
        #[schema(format = DateTime)]
        expires_at: Nullable<String>,
    }
}

impl CreateRequest<()> for CreatePlatformTokenRequest {
    fn read(self, fields: &mut FieldReader, now: DateTime<Utc>) -> Option<NewCredential<()>> {
        let name = fields.required("name", self.name, Name::parse);
        fields.optional("role", self.role, |text: String| Role::parse_of_platform(&text));
        let expires_at = read_expiry(fields, self.expires_at, now);
        Some(NewCredential {
            name: name?,
            role: (),
            expires_at,
        })
    }
}

impl CredentialResource for PlatformToken {
    type Response = ApiTokenResponse;
    type IssuedResponse = CreatedApiTokenResponse;
}

/// Create a platform API token
///
/// The token has the permissions of a platform administrator. It is shown only in this response.
#[utoipa::path(tag = "platform", operation_id = "create_platform_token", params(IdempotencyKey),
    request_body = CreatePlatformTokenRequest,
    responses((status = 201, description = "Created", body = CreatedApiTokenResponse), WriteProblems))]
#[post("/api-tokens")]
pub(super) async fn create_platform_token(
    call: Call<(), Json<CreatePlatformTokenRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create::<PlatformToken>(call).await
}

/// List platform API tokens
///
/// Returns the tokens of the platform without their secrets.
#[utoipa::path(tag = "platform", operation_id = "list_platform_tokens", params(PageQuery),
    responses((status = 200, description = "Tokens without their secrets", body = PageResponse<ApiTokenResponse>), ReadProblems))]
#[get("/api-tokens")]
pub(super) async fn list_platform_tokens(call: Call) -> Result<HttpResponse, Problem> {
    super::list::<PlatformToken>(call).await
}

/// Get a platform API token
///
/// Returns the token without its secret.
#[utoipa::path(tag = "platform", operation_id = "get_platform_token", params(PlatformTokenPath),
    responses((status = 200, description = "The token without its secret", body = ApiTokenResponse), ReadProblems))]
#[get("/api-tokens/{id}")]
pub(super) async fn get_platform_token(call: Call<PlatformTokenPath>) -> Result<HttpResponse, Problem> {
    super::get::<PlatformToken>(call).await
}

/// Delete a platform API token
///
/// The token becomes invalid immediately.
#[utoipa::path(tag = "platform", operation_id = "delete_platform_token", params(PlatformTokenPath, IfMatch),
    responses((status = 204, description = "Deleted; the token is invalid"), WriteProblems))]
#[delete("/api-tokens/{id}")]
pub(super) async fn delete_platform_token(
    call: Call<PlatformTokenPath, UrgentBody>,
) -> Result<HttpResponse, Problem> {
    super::delete::<PlatformToken>(call).await
}
