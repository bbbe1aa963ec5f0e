use super::{AppKeyRole, DeviceScope, Principal, Role, TenantScope};
use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// Action to be authorized. Each operation of the admin API has one of these; `tests/api/roles.txt` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The platform's users, tokens and audit log.
    ManagePlatform,
    ManageTenants,
    ManageUsers,
    ManageKeys,
    WriteOrgDirectory,
    DeleteApps,
    WriteApps,
    WriteReleases,
    WriteArtifacts,
    WritePins,
    WriteDevices,
    Push,
    ReadCatalog,
    ReadDevices,
    ReadAudit,
    /// The caller's own account.
    ManageOwnAccount,
}

/// Reason for refusing a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The tenant is not the caller's. It must appear not to exist.
    OtherTenant,
    /// The caller's role does not permit the action.
    ForbiddenByRole(Action),
}

/// Returns `true` if a role permits an action. This is the only table of permissions.
pub const fn is_permitted(role: Role, action: Action) -> bool {
    use Role::{Admin, PlatformAdmin, Publisher, Viewer};
    match action {
        Action::ManagePlatform | Action::ManageTenants => matches!(role, PlatformAdmin),
        Action::ManageUsers | Action::ManageKeys | Action::WriteOrgDirectory | Action::DeleteApps => {
            matches!(role, PlatformAdmin | Admin)
        }
        Action::WriteApps
        | Action::WriteReleases
        | Action::WriteArtifacts
        | Action::WritePins
        | Action::WriteDevices
        | Action::Push
        | Action::ReadAudit => {
            matches!(role, PlatformAdmin | Admin | Publisher)
        }
        Action::ReadCatalog | Action::ReadDevices | Action::ManageOwnAccount => {
            matches!(role, PlatformAdmin | Admin | Publisher | Viewer)
        }
    }
}

/// Authorizes a caller for an action in a tenant.
pub fn authorize_tenant(
    principal: &Principal,
    tenant: TenantId,
    action: Action,
) -> Result<TenantScope, Refusal> {
    let is_theirs = principal.role == Role::PlatformAdmin || principal.tenant == Some(tenant);
    if !is_theirs {
        return Err(Refusal::OtherTenant);
    }
    if !is_permitted(principal.role, action) {
        return Err(Refusal::ForbiddenByRole(action));
    }
    Ok(TenantScope::new(tenant))
}

/// Returns `true` if a gateway key may push. Every gateway key may check.
pub const fn may_push(role: AppKeyRole) -> bool {
    matches!(role, AppKeyRole::Operator)
}

/// Authorizes the holder of a gateway key to push in the key's tenant.
pub fn authorize_push(role: AppKeyRole, tenant: TenantId) -> Result<TenantScope, Refusal> {
    if may_push(role) {
        Ok(TenantScope::new(tenant))
    } else {
        Err(Refusal::ForbiddenByRole(Action::Push))
    }
}

/// Authorizes a caller for an action on the installation, or on the caller itself.
pub fn authorize_platform(principal: &Principal, action: Action) -> Result<(), Refusal> {
    if is_permitted(principal.role, action) {
        Ok(())
    } else {
        Err(Refusal::ForbiddenByRole(action))
    }
}

/// Returns the scope of a key's tenant. The caller must have authenticated with that key.
pub const fn key_scope(tenant: TenantId) -> TenantScope {
    TenantScope::new(tenant)
}

/// Returns the scope of a device. The device must have authenticated by its own token, or to a broker that lets no
/// other client write to its topic.
pub const fn device_scope(tenant: TenantId, device: DeviceId) -> DeviceScope {
    DeviceScope::new(TenantScope::new(tenant), device)
}
