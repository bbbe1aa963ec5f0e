//! Memory for slow request bodies: limited for the node, and shared between their senders.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, PoisonError};

use slipway_domain::catalog::ids::TenantId;

/// Memory limit in bytes for all incomplete bodies of a node.
const NODE_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// Owner that the memory of a body is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// Network of a caller that is not authenticated.
    Source(Option<IpAddr>),
    Tenant(TenantId),
    /// Administrators of the platform.
    Platform,
}

impl Owner {
    pub(crate) fn of(tenant: Option<TenantId>) -> Self {
        tenant.map_or(Self::Platform, Self::Tenant)
    }
}

/// Memory pool. An owner gets at most half of the memory that other owners leave free.
pub(crate) struct BodyMemory {
    size: usize,
    usage: Mutex<MemoryUsage>,
}

/// Reserved bytes.
#[derive(Default)]
struct MemoryUsage {
    by_owner: HashMap<Owner, usize>,
    total: usize,
}

/// Memory of one body, released on drop.
pub(crate) struct Reservation {
    memory: &'static BodyMemory,
    owner: Owner,
    bytes: usize,
}

/// Error of an owner that has used up its share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

static MEMORY: LazyLock<BodyMemory> = LazyLock::new(|| BodyMemory::new(NODE_LIMIT_BYTES));

impl BodyMemory {
    pub(super) fn global() -> &'static Self {
        &MEMORY
    }

    fn new(size: usize) -> Self {
        Self {
            size,
            usage: Mutex::default(),
        }
    }

    pub(super) fn reserve_for(&'static self, owner: Owner) -> Reservation {
        Reservation {
            memory: self,
            owner,
            bytes: 0,
        }
    }

    fn adjust(&self, owner: Owner, more: usize, less: usize) -> Result<(), NoMemory> {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let own = usage.by_owner.get(&owner).copied().unwrap_or_default();
        if more > 0 && own + more > self.size.saturating_sub(usage.total) {
            return Err(NoMemory);
        }
        let left = (own + more).saturating_sub(less);
        usage.total = (usage.total + left).saturating_sub(own);
        match left {
            0 => drop(usage.by_owner.remove(&owner)),
            left => drop(usage.by_owner.insert(owner, left)),
        }
        Ok(())
    }
}

impl Reservation {
    /// Extends the reservation to a size.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.memory.adjust(self.owner, more, 0)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // A release never fails.
            let _ = self.memory.adjust(self.owner, 0, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_leaves_memory_to_the_others() {
        let memory: &'static BodyMemory = Box::leak(Box::new(BodyMemory::new(1_000)));
        let owner = |number| Owner::Tenant(TenantId::parse(number).unwrap());
        let mut first = memory.reserve_for(owner(1));
        assert_eq!(first.grow_to(500), Ok(()));
        assert_eq!(first.grow_to(501), Err(NoMemory));
        let mut second = memory.reserve_for(owner(2));
        assert_eq!(second.grow_to(200), Ok(()));
        let mut third = memory.reserve_for(owner(3));
        assert_eq!(third.grow_to(200), Ok(()));
        drop((first, second, third));
        let usage = memory.usage.lock().unwrap();
        assert_eq!((usage.by_owner.len(), usage.total), (0, 0));
    }
}
