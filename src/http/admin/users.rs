//! Handlers for the users of a tenant.

use actix_web::{HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::body::{Json, PrioritizedJson, RequestPriority, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::{FieldReader, Patch};
use crate::http::openapi::{ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::{TenantPath, UserPath};
use crate::http::problem::Problem;
use crate::http::respond;
use crate::http::value_schemas::RoleValue;
use crate::secrets::parse_password;
use crate::services::WriteResult;
use crate::services::users::{self, NewUser, UserChanges};
use slipway_domain::access::{Action, Role, User};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUserRequest {
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
pub(super) struct UpdateUserRequest {
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

#[derive(Serialize, ToSchema)]
pub(super) struct UserResponse {
    id: String,
    username: String,
    #[schema(value_type = RoleValue)]
    role: &'static str,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&Versioned<User>> for UserResponse {
    fn from(stored: &Versioned<User>) -> Self {
        Self {
            id: stored.value.id.to_string(),
            username: stored.value.username.to_string(),
            role: stored.value.role.as_str(),
            enabled: stored.value.enabled,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

pub(super) fn read_username(text: String) -> Result<Username, Invalid> {
    Username::parse(text.to_lowercase())
}

pub(super) fn read_password(text: String) -> Result<String, Invalid> {
    parse_password(&text).map(str::to_owned)
}

fn read_role(text: String) -> Result<Role, Invalid> {
    Role::parse_of_tenant(&text)
}

impl CreateUserRequest {
    fn read(self) -> Result<NewUser, Problem> {
        let mut fields = FieldReader::default();
        let username = fields.required("username", self.username, read_username);
        let password = fields.required("password", self.password, read_password);
        let role = fields.required("role", self.role, read_role);
        let (Some(username), Some(password), Some(role)) = (username, password, role) else {
            return Err(fields.into_problem());
        };
        Ok(NewUser {
            username,
            password,
            role,
        })
    }
}

impl UpdateUserRequest {
    fn read(self) -> Result<UserChanges, Problem> {
        let mut fields = FieldReader::for_update();
        let changes = UserChanges {
            role: fields.optional_non_null("role", self.role, read_role),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
            password: fields.optional_non_null("password", self.password, read_password),
        };
        fields.finish()?;
        Ok(changes)
    }
}

/// Create a user
#[utoipa::path(tag = "people", operation_id = "create_user", params(TenantPath), request_body = CreateUserRequest,
    responses((status = 201, description = "Created", body = UserResponse), WriteProblems))]
#[post("/tenants/{tenant_id}/users")]
pub(super) async fn create_user(
    mut call: Call<TenantPath, Json<CreateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    let new = call.body.take().read()?;
    let tenant = call.path.tenant_id;
    let render = respond::created_versioned::<UserResponse, _>;
    let permission = (Some(tenant), Action::ManageUsers);
    respond::create(&call, permission, render, async |reservation| {
        let once = reservation.once(render);
        let stored = users::create(&call.ctx, &call.caller, tenant, new, once).await?;
        Ok(WriteResult::without_revision(stored))
    })
    .await
}

/// List users
#[utoipa::path(tag = "people", operation_id = "list_users", params(TenantPath, PageQuery),
    responses((status = 200, description = "Users in order of creation", body = PageResponse<UserResponse>), ReadProblems))]
#[get("/tenants/{tenant_id}/users")]
pub(super) async fn list_users(call: Call<TenantPath>) -> Result<HttpResponse, Problem> {
    let page = call.page()?;
    let found = users::list(&call.ctx, &call.caller, call.path.tenant_id, &page).await?;
    Ok(HttpResponse::Ok().json(PageResponse::new(found, |stored| UserResponse::from(&stored))))
}

/// Get a user
#[utoipa::path(tag = "people", operation_id = "get_user", params(UserPath),
    responses((status = 200, description = "The user", body = UserResponse), ReadProblems))]
#[get("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn get_user(call: Call<UserPath>) -> Result<HttpResponse, Problem> {
    let stored = users::get(&call.ctx, &call.caller, call.path.tenant_id, call.path.id).await?;
    Ok(respond::respond_versioned::<UserResponse, _>(&stored))
}

impl RequestPriority for UpdateUserRequest {
    fn is_urgent(&self) -> bool {
        matches!(self.enabled, Patch::Value(false))
    }
}

/// Update a user
///
/// Any change ends the user's sessions.
#[utoipa::path(tag = "people", operation_id = "update_user", params(UserPath), request_body = UpdateUserRequest,
    responses((status = 200, description = "Updated", body = UserResponse), WriteProblems))]
#[patch("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn update_user(
    mut call: Call<UserPath, PrioritizedJson<UpdateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    let changes = call.body.take().read()?;
    let precondition = call.precondition()?;
    let UserPath { tenant_id, id } = call.path;
    let stored = users::update(&call.ctx, &call.caller, tenant_id, id, changes, &precondition).await?;
    Ok(respond::respond_versioned::<UserResponse, _>(&stored))
}

/// Delete a user
#[utoipa::path(tag = "people", operation_id = "delete_user", params(UserPath),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/tenants/{tenant_id}/users/{id}")]
pub(super) async fn delete_user(call: Call<UserPath, UrgentBody>) -> Result<HttpResponse, Problem> {
    let precondition = call.precondition()?;
    users::delete(
        &call.ctx,
        &call.caller,
        call.path.tenant_id,
        call.path.id,
        &precondition,
    )
    .await?;
    Ok(respond::respond_deleted(None))
}
