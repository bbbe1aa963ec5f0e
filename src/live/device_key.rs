//! Names a device of the installation, where maps of the memory have one entry for each.

use std::hash::{Hash, Hasher};

use papaya::Equivalent;

use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// Names a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceKey {
    pub tenant: TenantId,
    pub device: DeviceId,
}

/// Names a device without owning its id.
#[derive(Debug, Clone, Copy)]
pub struct BorrowedDeviceKey<'a> {
    pub tenant: TenantId,
    pub device: &'a str,
}

impl DeviceKey {
    pub fn of(tenant: TenantId, device: &DeviceId) -> Self {
        Self {
            tenant,
            device: device.clone(),
        }
    }
}

impl Hash for BorrowedDeviceKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As [`DeviceKey`] hashes itself; a test compares.
        self.tenant.hash(state);
        self.device.hash(state);
    }
}

impl Equivalent<DeviceKey> for BorrowedDeviceKey<'_> {
    fn equivalent(&self, key: &DeviceKey) -> bool {
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
        let borrowed = BorrowedDeviceKey { tenant, device: "A" };
        let device = DeviceId::parse("A").unwrap();
        let key = DeviceKey { tenant, device };
        assert_eq!(hasher.hash_one(&key), hasher.hash_one(borrowed));
        assert!(borrowed.equivalent(&key));
    }
}
