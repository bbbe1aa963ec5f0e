use crate::catalog::field::Invalid;
use crate::catalog::ids::{KeyId, SessionId, TenantId, UserId};

/// Authenticated caller of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub credential: Credential,
    /// Name of the user or token, for the audit log.
    pub name: String,
    pub role: Role,
    /// Tenant of the caller; `None` for platform administrators.
    pub tenant: Option<TenantId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    Session { user: UserId, session: SessionId },
    ApiToken(KeyId),
}

impl Principal {
    /// Returns a text that identifies the caller: `user:…` or `token:…`.
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

/// Role of a user or API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads the whole catalog and changes nothing.
    Viewer,
    /// Publishes: manages apps, releases, rollouts and pins.
    Publisher,
    /// Also manages the tenant: users, keys and the org directory.
    Admin,
    /// Manages the installation; may do everything in every tenant.
    PlatformAdmin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::PlatformAdmin, Self::Admin, Self::Publisher, Self::Viewer];
    /// Roles that a tenant's users and tokens can have.
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

    /// Parses the role of a caller that belongs to no tenant.
    pub fn parse_of_platform(text: &str) -> Result<Self, Invalid> {
        if text == Self::PlatformAdmin.as_str() {
            Ok(Self::PlatformAdmin)
        } else {
            Err(Invalid::new("must be platform_admin; others belong to a tenant"))
        }
    }

    /// Parses a role that a tenant may assign.
    pub fn parse_of_tenant(text: &str) -> Result<Self, Invalid> {
        Self::OF_TENANTS
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of admin, publisher, viewer"))
    }
}
