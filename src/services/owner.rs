//! Owners of people and credentials: a tenant, or the platform.

use super::{Caller, Context, ServiceError};
use slipway_domain::access::{Action, Platform, TenantScope, authorize_platform};
use slipway_domain::catalog::ids::TenantId;

/// A tenant, or the platform.
pub trait Owner: Copy {
    /// Authorization for the owner's data.
    type Scope: Copy;

    /// `None` for the platform.
    fn tenant(self) -> Option<TenantId>;

    /// Returns the permission that corresponds to an action in a tenant.
    fn permission(self, action: Action) -> (Option<TenantId>, Action) {
        match self.tenant() {
            Some(tenant) => (Some(tenant), action),
            // Its people and tokens may do everything, so one action covers them.
            None => (None, Action::ManagePlatform),
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
        let (_, action) = self.permission(action);
        authorize_platform(&caller.principal, action)?;
        Ok(self)
    }
}
