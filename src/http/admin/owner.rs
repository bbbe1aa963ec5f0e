//! Owners that paths name: a tenant, or the platform.

use crate::http::path::{AdministratorPath, KeyPath, PlatformTokenPath, TenantPath, UserPath};
use slipway_domain::access::Platform;
use slipway_domain::catalog::ids::{KeyId, TenantId, UserId};

/// Path of the objects of an owner.
pub(super) trait OwnerPath {
    type Owner;

    fn owner(&self) -> Self::Owner;
}

impl OwnerPath for TenantPath {
    type Owner = TenantId;

    fn owner(&self) -> TenantId {
        self.tenant_id
    }
}

impl OwnerPath for () {
    type Owner = Platform;

    fn owner(&self) -> Platform {
        Platform
    }
}

/// Path of one object of an owner.
pub(super) trait OwnedPath<Id> {
    type Owner;

    fn parts(&self) -> (Self::Owner, Id);
}

impl OwnedPath<KeyId> for KeyPath {
    type Owner = TenantId;

    fn parts(&self) -> (TenantId, KeyId) {
        (self.tenant_id, self.id)
    }
}

impl OwnedPath<UserId> for UserPath {
    type Owner = TenantId;

    fn parts(&self) -> (TenantId, UserId) {
        (self.tenant_id, self.id)
    }
}

impl OwnedPath<KeyId> for PlatformTokenPath {
    type Owner = Platform;

    fn parts(&self) -> (Platform, KeyId) {
        (Platform, self.id)
    }
}

impl OwnedPath<UserId> for AdministratorPath {
    type Owner = Platform;

    fn parts(&self) -> (Platform, UserId) {
        (Platform, self.id)
    }
}
