//! Handlers for the users of a tenant.

use actix_web::{HttpResponse, delete, get, patch, post};

use super::fields::{UserResponse, read_password, read_username};
use super::{CreateRequest, UpdateRequest};
use crate::http::body::{Json, PrioritizedJson, RequestPriority, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{TenantPath, UserPath};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::value_schemas::TenantRoleValue;
use crate::services::users::{NewUser, UserChanges};
use slipway_domain::access::Role;
use slipway_domain::catalog::field::Invalid;

request! {
    pub(in crate::http::admin) struct CreateUserRequest {
        /// Login name, unique across the installation; stored in lower case.
        #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]*$", example = "li.na")]
        username: Required<String>,
        /// Password of 10 to 256 characters.
        #[schema(min_length = 10, max_length = 256)]
        password: Required<String>,
        /// Role: `admin`, `publisher` or `viewer`.
        #[schema(example = "publisher")]
        role: Required<String> as TenantRoleValue,
    }
}

request! {
    pub(in crate::http::admin) struct UpdateUserRequest {
        #[schema(example = "viewer")]
        role: Optional<String> as TenantRoleValue,
        enabled: Optional<bool>,
        /// New password of 10 to 256 characters, for a user who lost theirs.
        #[schema(min_length = 10, max_length = 256)]
        password: Optional<String>,
    }
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
        self.enabled.value() == Some(&false)
    }
}

/// Create a user
///
/// The user can log in immediately.
#[utoipa::path(tag = "people", operation_id = "create_user", params(TenantPath, IdempotencyKey), request_body = CreateUserRequest,
    responses((status = 201, description = "Created", body = UserResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/users")]
pub(super) async fn create_user(
    call: Call<TenantPath, Json<CreateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create(call).await
}

/// List users
///
/// Returns the users of the tenant in the order of their creation.
#[utoipa::path(tag = "people", operation_id = "list_users", params(TenantPath, PageQuery),
    responses((status = 200, description = "Users in order of creation", body = PageResponse<UserResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/users")]
pub(super) async fn list_users(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    super::list(call).await
}

/// Get a user
///
/// Returns the user with the role.
#[utoipa::path(tag = "people", operation_id = "get_user", params(UserPath),
    responses((status = 200, description = "The user", body = UserResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn get_user(call: Call<UserPath>) -> Result<HttpResponse, Problem> {
    super::get(call).await
}

/// Update a user
///
/// Any change ends the user's sessions.
#[utoipa::path(tag = "people", operation_id = "update_user", params(UserPath, IfMatch), request_body = UpdateUserRequest,
    responses((status = 200, description = "Updated", body = UserResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn update_user(
    call: Call<UserPath, PrioritizedJson<UpdateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    super::update(call).await
}

/// Delete a user
///
/// Deletes the user and ends the sessions.
#[utoipa::path(tag = "people", operation_id = "delete_user", params(UserPath, IfMatch),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn delete_user(call: Call<UserPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    super::delete(call).await
}
