//! Handlers for the users of a tenant.

use actix_web::{HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::{UserResponse, read_password, read_username};
use super::{CreateRequest, UpdateRequest};
use crate::http::body::{Json, PrioritizedJson, RequestPriority, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{TenantPath, UserPath};
use crate::http::problem::Problem;
use crate::http::value_schemas::RoleValue;
use crate::services::users::{NewUser, UserChanges};
use slipway_domain::access::Role;
use slipway_domain::catalog::field::Invalid;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::admin) struct CreateUserRequest {
    /// Login name, unique across the installation; stored in lower case.
    #[schema(value_type = String, required, max_length = 128, example = "li.na")]
    #[serde(default)]
    username: Patch<String>,
    /// Password of 10 to 256 characters.
    #[schema(value_type = String, required, min_length = 10, max_length = 256)]
    #[serde(default)]
    password: Patch<String>,
    /// Role: `admin`, `publisher` or `viewer`.
    #[schema(value_type = RoleValue, required, example = "publisher")]
    #[serde(default)]
    role: Patch<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::admin) struct UpdateUserRequest {
    #[schema(value_type = Option<RoleValue>, example = "viewer")]
    #[serde(default)]
    role: Patch<String>,
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    enabled: Patch<bool>,
    /// New password of 10 to 256 characters, for a user who lost theirs.
    #[schema(value_type = Option<String>, min_length = 10, max_length = 256)]
    #[serde(default)]
    password: Patch<String>,
}

fn read_role(text: String) -> Result<Role, Invalid> {
    Role::parse_of_tenant(&text)
}

impl CreateRequest for CreateUserRequest {
    fn read(self, fields: &mut FieldReader) -> Option<NewUser> {
        let username = fields.required("username", self.username, read_username);
        let password = fields.required("password", self.password, read_password);
        let role = fields.required("role", self.role, read_role);
        Some(NewUser {
            username: username?,
            password: password?,
            role: role?,
        })
    }
}

impl UpdateRequest for UpdateUserRequest {
    fn read(self, fields: &mut FieldReader) -> UserChanges {
        UserChanges {
            role: fields.optional_non_null("role", self.role, read_role),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
            password: fields.optional_non_null("password", self.password, read_password),
        }
    }
}

impl RequestPriority for UpdateUserRequest {
    fn is_urgent(&self) -> bool {
        matches!(self.enabled, Patch::Value(false))
    }
}

/// Create a user
#[utoipa::path(tag = "people", operation_id = "create_user", params(TenantPath), request_body = CreateUserRequest,
    responses((status = 201, description = "Created", body = UserResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/users")]
pub(super) async fn create_user(
    call: Call<TenantPath, Json<CreateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create(call).await
}

/// List users
#[utoipa::path(tag = "people", operation_id = "list_users", params(TenantPath, PageQuery),
    responses((status = 200, description = "Users in order of creation", body = PageResponse<UserResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/users")]
pub(super) async fn list_users(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    super::list(call).await
}

/// Get a user
#[utoipa::path(tag = "people", operation_id = "get_user", params(UserPath),
    responses((status = 200, description = "The user", body = UserResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn get_user(call: Call<UserPath>) -> Result<HttpResponse, Problem> {
    super::get(call).await
}

/// Update a user
///
/// Any change ends the user's sessions.
#[utoipa::path(tag = "people", operation_id = "update_user", params(UserPath), request_body = UpdateUserRequest,
    responses((status = 200, description = "Updated", body = UserResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn update_user(
    call: Call<UserPath, PrioritizedJson<UpdateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    super::update(call).await
}

/// Delete a user
#[utoipa::path(tag = "people", operation_id = "delete_user", params(UserPath),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn delete_user(call: Call<UserPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    super::delete(call).await
}
