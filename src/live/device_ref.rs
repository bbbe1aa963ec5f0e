//! Map keys that identify a device across tenants.

use std::hash::{Hash, Hasher};

use papaya::Equivalent;

use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::DeviceId;

/// Map key identifying a device across tenants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceRef {
    pub tenant: TenantId,
    pub device: DeviceId,
}

/// Borrowed form of [`DeviceRef`], for lookups without allocating the id.
#[derive(Debug, Clone, Copy)]
pub struct BorrowedDeviceRef<'a> {
    pub tenant: TenantId,
    pub device: &'a str,
}

impl DeviceRef {
    pub fn of(tenant: TenantId, device: &DeviceId) -> Self {
        Self {
            tenant,
            device: device.clone(),
        }
    }
}

impl Hash for BorrowedDeviceRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Must hash like [`DeviceRef`]; a test compares the two.
        self.tenant.hash(state);
        self.device.hash(state);
    }
}

impl Equivalent<DeviceRef> for BorrowedDeviceRef<'_> {
    fn equivalent(&self, key: &DeviceRef) -> bool {
        self.tenant == key.tenant && self.device == key.device.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_borrowed_key_is_found_where_the_whole_one_is() {
        let hasher = std::hash::RandomState::new();
        let tenant = TenantId::parse(1).unwrap();
        let borrowed = BorrowedDeviceRef { tenant, device: "A" };
        let device = DeviceId::parse("A").unwrap();
        let key = DeviceRef { tenant, device };
        assert_eq!(hasher.hash_one(&key), hasher.hash_one(borrowed));
        assert!(borrowed.equivalent(&key));
    }
}
