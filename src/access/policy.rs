use super::{AppKeyRole, DeviceScope, Principal, Role, TenantScope};
use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// What can be asked for. Each operation of the admin API is one of these; `tests/api/roles.txt` shows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The platform's people, tokens and audit.
    ManagePlatform,
    ManageTenants,
    ManageUsers,
    ManageKeys,
    WriteOrgDirectory,
    DeleteApps,
    WriteApps,
    WriteReleases,
    WritePins,
    WriteDevices,
    Push,
    ReadCatalog,
    ReadDevices,
    ReadAudit,
    /// One's own account.
    ManageOneself,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The tenant is not the caller's: it must look as if it were not there.
    NotYours,
    /// The caller's role does not allow the action.
    RoleTooSmall(Action),
}

/// The one table of what a role allows.
pub const fn granted(role: Role, action: Action) -> bool {
    use Role::{Admin, PlatformAdmin, Publisher, Viewer};
    match action {
        Action::ManagePlatform | Action::ManageTenants => matches!(role, PlatformAdmin),
        Action::ManageUsers | Action::ManageKeys | Action::WriteOrgDirectory | Action::DeleteApps => {
            matches!(role, PlatformAdmin | Admin)
        }
        Action::WriteApps
        | Action::WriteReleases
        | Action::WritePins
        | Action::WriteDevices
        | Action::Push
        | Action::ReadAudit => {
            matches!(role, PlatformAdmin | Admin | Publisher)
        }
        Action::ReadCatalog | Action::ReadDevices | Action::ManageOneself => {
            matches!(role, PlatformAdmin | Admin | Publisher | Viewer)
        }
    }
}

/// Lets a caller into a tenant for an action.
pub fn enter_tenant(principal: &Principal, tenant: TenantId, action: Action) -> Result<TenantScope, Refusal> {
    let is_theirs = principal.role == Role::PlatformAdmin || principal.tenant == Some(tenant);
    if !is_theirs {
        return Err(Refusal::NotYours);
    }
    if !granted(principal.role, action) {
        return Err(Refusal::RoleTooSmall(action));
    }
    Ok(TenantScope::new(tenant))
}

/// Whether a gateway key may push. Every one may check.
pub const fn may_push(role: AppKeyRole) -> bool {
    matches!(role, AppKeyRole::Operator)
}

/// Lets the holder of a gateway key push in the key's tenant.
pub fn enter_to_push(role: AppKeyRole, tenant: TenantId) -> Result<TenantScope, Refusal> {
    if may_push(role) {
        Ok(TenantScope::new(tenant))
    } else {
        Err(Refusal::RoleTooSmall(Action::Push))
    }
}

/// Lets a caller do what concerns the installation or only the caller.
pub fn enter_platform(principal: &Principal, action: Action) -> Result<(), Refusal> {
    if granted(principal.role, action) {
        Ok(())
    } else {
        Err(Refusal::RoleTooSmall(action))
    }
}

/// Lets a caller into the tenant of the key that it proved to hold, for what such keys are there for.
pub const fn enter_by_key(tenant: TenantId) -> TenantScope {
    TenantScope::new(tenant)
}

/// Lets a device in that proved to be this one: by its own token, or to the broker that lets nobody else write to its
/// topic.
pub const fn enter_device(tenant: TenantId, device: DeviceId) -> DeviceScope {
    DeviceScope::new(TenantScope::new(tenant), device)
}
