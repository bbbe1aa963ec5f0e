use crate::catalog::field::Invalid;
use crate::catalog::ids::{KeyId, SessionId, TenantId, UserId};

/// Who is calling the admin API, as its credential proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub credential: Credential,
    /// The user's or the token's name, for the audit.
    pub name: String,
    pub role: Role,
    /// The tenant it belongs to; `None` for the platform's own administrators.
    pub tenant: Option<TenantId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    Session { user: UserId, session: SessionId },
    ApiToken(KeyId),
}

impl Principal {
    /// What stands for this caller wherever callers are told apart: `user:…` or `token:…`.
    pub fn key(&self) -> String {
        match self.credential {
            Credential::Session { user, .. } => format!("user:{user}"),
            Credential::ApiToken(token) => format!("token:{token}"),
        }
    }

    pub fn user(&self) -> Option<UserId> {
        match self.credential {
            Credential::Session { user, .. } => Some(user),
            Credential::ApiToken(_) => None,
        }
    }
}

/// What a person or API token is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks at everything of the catalog, changes nothing.
    Viewer,
    /// Publishes: apps, releases, rollouts, pins.
    Publisher,
    /// Also runs the tenant: people, keys, org directory.
    Admin,
    /// Runs the installation; may do everything in every tenant.
    PlatformAdmin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::PlatformAdmin, Self::Admin, Self::Publisher, Self::Viewer];
    /// The roles that people and tokens of a tenant can have.
    pub const OF_TENANTS: [Self; 3] = [Self::Admin, Self::Publisher, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform_admin",
            Self::Admin => "admin",
            Self::Publisher => "publisher",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of platform_admin, admin, publisher, viewer"))
    }

    /// Reads a role of those who belong to no tenant.
    pub fn parse_of_platform(text: &str) -> Result<Self, Invalid> {
        if text == Self::PlatformAdmin.as_str() {
            Ok(Self::PlatformAdmin)
        } else {
            Err(Invalid::new("must be platform_admin; others belong to a tenant"))
        }
    }

    /// Reads a role that a tenant may give.
    pub fn parse_of_tenant(text: &str) -> Result<Self, Invalid> {
        Self::OF_TENANTS
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of admin, publisher, viewer"))
    }
}
