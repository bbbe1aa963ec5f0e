use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// Leave to work on one tenant's data. Storage takes it first in every function on such data, so a query that
/// forgets the tenant cannot be written without its absence being seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantScope(TenantId);

impl TenantScope {
    /// Only the policy gives scopes to callers.
    pub(super) const fn new(tenant: TenantId) -> Self {
        Self(tenant)
    }

    /// For the program's own work on a tenant, where no caller asks: following the catalog.
    pub const fn of_the_program(tenant: TenantId) -> Self {
        Self(tenant)
    }

    pub const fn tenant(self) -> TenantId {
        self.0
    }
}

/// Leave to work on what one device has, for the device itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceScope {
    tenant: TenantScope,
    device: DeviceId,
}

impl DeviceScope {
    /// Only the policy gives scopes to callers.
    pub(super) const fn new(tenant: TenantScope, device: DeviceId) -> Self {
        Self { tenant, device }
    }

    /// The scope of the device's tenant.
    pub const fn tenant(&self) -> TenantScope {
        self.tenant
    }

    pub const fn device(&self) -> &DeviceId {
        &self.device
    }
}
