//! Fields of people in requests and responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::value_schemas::RoleValue;
use crate::secrets::parse_password;
use slipway_domain::access::User;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::text::Username;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Serialize, ToSchema)]
pub(super) struct UserResponse {
    #[schema(format = "uuid")]
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
