//! Handlers for API tokens of the platform.

use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::api_tokens::{ApiTokenResponse, CreatedApiTokenResponse, render_created};
use super::key_fields::read_expiry;
use crate::http::body::{Json, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::PlatformTokenPath;
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::RoleValue;
use crate::services::WriteResult;
use crate::services::platform_tokens;
use slipway_domain::access::{Action, Role};
use slipway_domain::catalog::text::Name;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePlatformTokenRequest {
    #[schema(value_type = String, required, max_length = 128, example = "provisioning")]
    #[serde(default)]
    name: Patch<String>,
    /// Role: `platform_admin`, which is also the default.
    #[schema(value_type = Option<RoleValue>, example = "platform_admin")]
    #[serde(default)]
    role: Patch<String>,
    /// Time from which the token is invalid. If absent or null, the token does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    expires_at: Patch<String>,
}

impl CreatePlatformTokenRequest {
    fn read(self, now: DateTime<Utc>) -> Result<(Name, Option<DateTime<Utc>>), Problem> {
        let mut fields = FieldReader::default();
        let name = fields.required("name", self.name, Name::parse);
        fields.optional("role", self.role, |text: String| Role::parse_of_platform(&text));
        let expires_at = read_expiry(&mut fields, self.expires_at, now);
        let Some(name) = name else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        Ok((name, expires_at))
    }
}

/// Create a platform API token
///
/// The token has the permissions of a platform administrator. It is shown only in this response.
#[utoipa::path(tag = "platform", operation_id = "create_platform_token",
    request_body = CreatePlatformTokenRequest,
    responses((status = 201, description = "Created", body = CreatedApiTokenResponse), WriteProblems))]
#[post("/api-tokens")]
pub(super) async fn create_platform_token(
    mut call: Call<(), Json<CreatePlatformTokenRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read(call.ctx.now())?;
    let permission = (None, Action::ManagePlatform);
    respond::create(&call, permission, render_created, async |reservation| {
        let once = reservation.once_with_secret(render_created, |made| made.stored.value.id.to_string());
        let made = platform_tokens::create(&call.ctx, &call.caller, new, once).await?;
        Ok(WriteResult::without_revision(made))
    })
    .await
}

/// List platform API tokens
#[utoipa::path(tag = "platform", operation_id = "list_platform_tokens", params(PageQuery),
    responses((status = 200, description = "Tokens without their secrets", body = PageResponse<ApiTokenResponse>), ReadProblems))]
#[get("/api-tokens")]
pub(super) async fn list_platform_tokens(call: Call) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = platform_tokens::list(&call.ctx, &call.caller, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| ApiTokenResponse::from(&stored))))
}

/// Get a platform API token
#[utoipa::path(tag = "platform", operation_id = "get_platform_token", params(PlatformTokenPath),
    responses((status = 200, description = "The token without its secret", body = ApiTokenResponse), ReadProblems))]
#[get("/api-tokens/{id}")]
pub(super) async fn get_platform_token(call: Call<PlatformTokenPath>) -> Result<HttpResponse, Problem> {
    let stored = platform_tokens::get(&call.ctx, &call.caller, call.path.id).await?;
    Ok(respond::respond_versioned::<ApiTokenResponse, _>(&stored))
}

/// Delete a platform API token
#[utoipa::path(tag = "platform", operation_id = "delete_platform_token", params(PlatformTokenPath),
    responses((status = 204, description = "Deleted; the token is invalid"), WriteProblems))]
#[delete("/api-tokens/{id}")]
pub(super) async fn delete_platform_token(
    call: Call<PlatformTokenPath, UrgentBody>,
) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    platform_tokens::delete(&call.ctx, &call.caller, call.path.id, &precondition).await?;
    Ok(respond::respond_deleted(None))
}
