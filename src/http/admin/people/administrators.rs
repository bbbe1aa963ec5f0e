//! Handlers for the platform's administrators.

use actix_web::{HttpResponse, delete, get, patch, post};

use super::fields::{UserResponse, read_password, read_username};
use super::{CreateRequest, UpdateRequest};
use crate::http::body::{Json, PrioritizedJson, RequestPriority, UrgentBody};
use crate::http::call::Call;
use crate::http::fields::FieldReader;
use crate::http::openapi::{IdempotencyKey, IfMatch, ReadProblems, WriteProblems};
use crate::http::pagination::{PageQuery, PageResponse};
use crate::http::path::AdministratorPath;
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use crate::http::value_schemas::PlatformRoleValue;
use crate::services::users::{NewUser, UserChanges};
use slipway_domain::access::Role;
use slipway_domain::catalog::field::Invalid;

request! {
    pub(in crate::http::admin) struct CreateAdministratorRequest {
        /// Login name, unique across the installation; stored in lower case.
        #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]*$", example = "li.na")]
        username: Required<String>,
        /// Password of 10 to 256 characters.
        #[schema(min_length = 10, max_length = 256)]
        password: Required<String>,
        /// Role: `platform_admin`, which is also the default.
        #[schema(example = "platform_admin")]
        role: Nullable<String> as PlatformRoleValue,
    }
}

request! {
    pub(in crate::http::admin) struct UpdateAdministratorRequest {
        /// Role: always `platform_admin`, the only role without a tenant.
        #[schema(example = "platform_admin")]
        role: Optional<String> as PlatformRoleValue,
        enabled: Optional<bool>,
        /// New password of 10 to 256 characters, for a user who lost theirs.
        #[schema(min_length = 10, max_length = 256)]
        password: Optional<String>,
    }
}

fn read_role(text: String) -> Result<Role, Invalid> {
    Role::parse_of_platform(&text)
}

impl CreateRequest for CreateAdministratorRequest {
    fn read(self, fields: &mut FieldReader) -> Option<NewUser> {
        let username = fields.required("username", self.username, read_username);
        let password = fields.required("password", self.password, read_password);
        fields.optional("role", self.role, read_role);
        Some(NewUser {
            username: username?,
            password: password?,
            role: Role::PlatformAdmin,
        })
    }
}

impl UpdateRequest for UpdateAdministratorRequest {
    fn read(self, fields: &mut FieldReader) -> UserChanges {
        UserChanges {
            role: fields.optional_non_null("role", self.role, read_role),
            enabled: fields.optional_non_null("enabled", self.enabled, Ok),
            password: fields.optional_non_null("password", self.password, read_password),
        }
    }
}

impl RequestPriority for UpdateAdministratorRequest {
    fn is_urgent(&self) -> bool {
        self.enabled.value() == Some(&false)
    }
}

/// Create a platform administrator
///
/// The administrator can manage every tenant.
#[utoipa::path(tag = "platform", operation_id = "create_administrator", params(IdempotencyKey),
    request_body = CreateAdministratorRequest,
    responses((status = 201, description = "Created", body = UserResponse), WriteProblems))]
#[post("/users")]
pub(super) async fn create_administrator(
    call: Call<(), Json<CreateAdministratorRequest>>,
) -> Result<HttpResponse, Problem> {
    super::create(call).await
}

/// List platform administrators
///
/// Returns the administrators of the platform in the order of their creation.
#[utoipa::path(tag = "platform", operation_id = "list_administrators", params(PageQuery),
    responses((status = 200, description = "Administrators in order of creation", body = PageResponse<UserResponse>), ReadProblems))]
#[get("/users")]
pub(super) async fn list_administrators(call: Call) -> Result<HttpResponse, Problem> {
    super::list(call).await
}

/// Get a platform administrator
///
/// Returns the administrator.
#[utoipa::path(tag = "platform", operation_id = "get_administrator", params(AdministratorPath),
    responses((status = 200, description = "The administrator", body = UserResponse), ReadProblems))]
#[get("/users/{id}")]
pub(super) async fn get_administrator(call: Call<AdministratorPath>) -> Result<HttpResponse, Problem> {
    super::get(call).await
}

/// Update a platform administrator
///
/// Any change ends the user's sessions. The last enabled administrator cannot be disabled.
#[utoipa::path(tag = "platform", operation_id = "update_administrator", params(AdministratorPath, IfMatch),
    request_body = UpdateAdministratorRequest,
    responses((status = 200, description = "Updated", body = UserResponse), WriteProblems))]
#[patch("/users/{id}")]
pub(super) async fn update_administrator(
    call: Call<AdministratorPath, PrioritizedJson<UpdateAdministratorRequest>>,
) -> Result<HttpResponse, Problem> {
    super::update(call).await
}

/// Delete a platform administrator
///
/// The last enabled administrator cannot be deleted.
#[utoipa::path(tag = "platform", operation_id = "delete_administrator", params(AdministratorPath, IfMatch),
    responses((status = 204, description = "Deleted"), WriteProblems))]
#[delete("/users/{id}")]
pub(super) async fn delete_administrator(
    call: Call<AdministratorPath, UrgentBody>,
) -> Result<HttpResponse, Problem> {
    super::delete(call).await
}
