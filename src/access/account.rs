//! People and keys, without their secrets.

use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::catalog::field::Invalid;
use crate::catalog::ids::{KeyId, TenantId, UserId};
use crate::catalog::text::{Name, Username};

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// `None` for the platform's own administrators.
    pub tenant: Option<TenantId>,
    pub username: Username,
    pub role: Role,
    /// A disabled person has no session and cannot start one.
    pub enabled: bool,
}

/// A token for a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: KeyId,
    pub name: Name,
    pub role: Role,
}

/// A key of the device API; good for the whole tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    pub id: KeyId,
    pub name: Name,
}

/// A key of the gateway, whose secret signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    pub id: KeyId,
    pub name: Name,
    pub role: AppKeyRole,
    /// What a client sends to name the key: a text of digits.
    pub app_key: String,
}

/// What a gateway key may do. A secret in a device's firmware must be assumed extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppKeyRole {
    /// May check.
    Device,
    /// May check and push.
    Operator,
}

impl AppKeyRole {
    pub const ALL: [Self; 2] = [Self::Device, Self::Operator];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Operator => "operator",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of device, operator"))
    }
}
