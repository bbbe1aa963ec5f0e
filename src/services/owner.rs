//! Owners of people and credentials: a tenant, or the platform.

use super::{Caller, Context, ServiceError};
use slipway_domain::access::{Action, Platform, TenantScope, authorize_platform};
use slipway_domain::catalog::ids::TenantId;

/// Action that a caller must be permitted.
#[derive(Debug, Clone, Copy)]
pub struct RequiredPermission {
    /// `None` for objects of the installation.
    pub tenant: Option<TenantId>,
    pub action: Action,
}

impl RequiredPermission {
    pub fn in_tenant(tenant: TenantId, action: Action) -> Self {
        let tenant = Some(tenant);
        Self { tenant, action }
    }

    pub fn on_platform(action: Action) -> Self {
        let tenant = None;
        Self { tenant, action }
    }

    /// Checks the permission of a caller.
    pub(super) async fn authorize(self, ctx: &Context, caller: &Caller) -> Result<(), ServiceError> {
        match self.tenant {
            Some(tenant) => drop(ctx.authorize(caller, tenant, self.action).await?),
            None => authorize_platform(&caller.principal, self.action)?,
        }
        Ok(())
    }
}

/// A tenant, or the platform.
pub trait Owner: Copy {
    /// Authorization for the owner's data.
    type Scope: Copy;

    /// `None` for the platform.
    fn tenant(self) -> Option<TenantId>;

    /// Returns the permission that corresponds to an action in a tenant.
    fn permission(self, action: Action) -> RequiredPermission {
        match self.tenant() {
            Some(tenant) => RequiredPermission::in_tenant(tenant, action),
            // Its people and tokens may do everything, so one action covers them.
            None => RequiredPermission::on_platform(Action::ManagePlatform),
        }
    }

    /// Authorizes a caller for an action in a tenant, or for the corresponding one on the platform.
    fn authorize(
        self,
        ctx: &Context,
        caller: &Caller,
        action: Action,
    ) -> impl Future<Output = Result<Self::Scope, ServiceError>>;
}

impl Owner for TenantId {
    type Scope = TenantScope;

    fn tenant(self) -> Option<TenantId> {
        Some(self)
    }

    async fn authorize(
        self,
        ctx: &Context,
        caller: &Caller,
        action: Action,
    ) -> Result<TenantScope, ServiceError> {
        ctx.authorize(caller, self, action).await
    }
}

impl Owner for Platform {
    type Scope = Self;

    fn tenant(self) -> Option<TenantId> {
        None
    }

    async fn authorize(self, _: &Context, caller: &Caller, action: Action) -> Result<Self, ServiceError> {
        authorize_platform(&caller.principal, self.permission(action).action)?;
        Ok(self)
    }
}
