//! Users and keys, without their secrets.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::access::{Principal, Role};
use crate::catalog::field::Invalid;
use crate::catalog::ids::{KeyId, TenantId, UserId};
use crate::catalog::text::{Name, Username};

/// Person who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// `None` for platform administrators.
    pub tenant: Option<TenantId>,
    pub username: Username,
    pub role: Role,
    /// A disabled user has no session and cannot start one.
    pub enabled: bool,
}

/// Metadata of an API token or key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// Name of the user or token that created the key, at the time of creation.
    pub created_by: Option<String>,
    /// Time from which the key is invalid; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Last day (UTC) on which the key was used, as far as it has been recorded.
    pub last_used_on: Option<NaiveDate>,
}

impl KeyFacts {
    /// Returns the metadata of a new key.
    pub fn new(maker: &Principal, expires_at: Option<DateTime<Utc>>) -> Self {
        Self {
            created_by: Some(maker.name.clone()),
            expires_at,
            last_used_on: None,
        }
    }
}

/// Returns `true` if a key with this expiry is invalid now.
pub fn has_expired(expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// Credential that administrators create for a client.
pub trait ClientCredential {
    fn id(&self) -> KeyId;
    fn name(&self) -> &Name;
    fn facts(&self) -> &KeyFacts;
}

/// API token of a tenant, for a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: KeyId,
    pub name: Name,
    pub role: Role,
    pub facts: KeyFacts,
}

/// API token of the platform. Its role is [`Role::PlatformAdmin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformToken {
    pub id: KeyId,
    pub name: Name,
    pub facts: KeyFacts,
}

/// Key of the device API, valid for the whole tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    pub id: KeyId,
    pub name: Name,
    pub facts: KeyFacts,
}

/// Key of the gateway, whose secret signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    pub id: KeyId,
    pub name: Name,
    pub role: AppKeyRole,
    /// Text of digits that clients send to identify the key.
    pub app_key: String,
    pub facts: KeyFacts,
}

impl From<PlatformToken> for ApiToken {
    fn from(token: PlatformToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: Role::PlatformAdmin,
            facts: token.facts,
        }
    }
}

macro_rules! client_credentials {
    ($($kind:ident),*) => {$(
        impl ClientCredential for $kind {
            fn id(&self) -> KeyId {
                self.id
            }

            fn name(&self) -> &Name {
                &self.name
            }

            fn facts(&self) -> &KeyFacts {
                &self.facts
            }
        }
    )*};
}

client_credentials!(ApiToken, AppKey, DeviceKey, PlatformToken);

/// Permissions of a gateway key. A secret in a device's firmware must be assumed to be extracted.
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
