use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// Authorization to access one tenant's data. Every storage function on such data requires it, so that a query without
/// the tenant is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantScope(TenantId);

impl TenantScope {
    /// Only the policy gives scopes to callers.
    pub(super) const fn new(tenant: TenantId) -> Self {
        Self(tenant)
    }

    /// Returns the scope for the program's own work without a caller, such as syncing the catalog.
    pub const fn internal(tenant: TenantId) -> Self {
        Self(tenant)
    }

    pub const fn tenant(self) -> TenantId {
        self.0
    }
}

/// The platform as the owner of people and credentials, in place of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform;

/// Authorization of a device to access its own data.
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

    pub const fn tenant(&self) -> TenantScope {
        self.tenant
    }

    pub const fn device(&self) -> &DeviceId {
        &self.device
    }
}
