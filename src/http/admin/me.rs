//! Handlers for the caller's own account.

use actix_web::{HttpResponse, get, put};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::body::Json;
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::value_schemas::{CredentialKindValue, RoleValue};
use crate::secrets::parse_password;
use crate::services::me;
use slipway_domain::access::Credential;

#[derive(Serialize, ToSchema)]
struct MeResponse {
    /// Kind of credential: `user` or `api_token`.
    #[schema(value_type = CredentialKindValue)]
    kind: &'static str,
    #[schema(format = "uuid")]
    id: String,
    /// Username, or name of the token.
    name: String,
    #[schema(value_type = RoleValue, example = "publisher")]
    role: &'static str,
    /// Tenant of the caller; absent for platform administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<i64>,
}

request! {
    pub(super) struct ChangePasswordRequest {
        current: Required<String>,
        /// New password of 10 to 256 characters.
        new: Required<String>,
    }
}

impl ChangePasswordRequest {
    /// Returns the current and the new password.
    pub(super) fn read(self) -> Result<(String, String), Problem> {
        let mut fields = FieldReader::default();
        let current = fields.required("current", self.current, Ok);
        let new = fields.required("new", self.new, |text: String| {
            parse_password(&text).map(str::to_owned)
        });
        fields.complete(current.zip(new))
    }
}

/// Get the caller's account
///
/// Returns the account or the API token of the caller, with its role.
#[utoipa::path(tag = "people", operation_id = "get_me",
    responses((status = 200, description = "The caller's account", body = MeResponse), ReadProblems))]
#[get("/me")]
pub(super) async fn get_me(call: Call) -> Result<HttpResponse, Problem> {
    let principal = &call.caller.principal;
    let (kind, id) = match principal.credential {
        Credential::Session { user, .. } => ("user", user.to_string()),
        Credential::ApiToken(token) => ("api_token", token.to_string()),
    };
    Ok(HttpResponse::Ok().json(MeResponse {
        kind,
        id,
        name: principal.name.clone(),
        role: principal.role.as_str(),
        tenant_id: principal.tenant.map(slipway_domain::catalog::ids::TenantId::get),
    }))
}

/// Change the caller's password
///
/// Ends all of the caller's sessions, including the current one.
#[utoipa::path(tag = "people", operation_id = "change_password", request_body = ChangePasswordRequest,
    responses((status = 204, description = "Changed; log in again"), WriteProblems))]
#[put("/me/password")]
pub(super) async fn change_password(
    call: Call<(), Json<ChangePasswordRequest>>,
) -> Result<HttpResponse, Problem> {
    let (current, new) = call.body.value.read()?;
    me::change_password(&call.ctx, &call.caller, current, new).await?;
    Ok(HttpResponse::NoContent().finish())
}
