//! Permits for calls that cost much more than a check: logins, writes, uploads.
//!
//! Without a free permit a node refuses the call immediately, so that checks are still answered. A permit is acquired
//! after the body has been read.
//!
//! Each kind of caller has its own pool, shared by tenants, or by networks for unauthenticated calls. One of them gets
//! at most half of what the others leave.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::ServiceError;
use super::network::network_of;
use slipway_domain::catalog::ids::TenantId;

/// Range of `Retry-After` in seconds. Values are spread, so that callers do not return together.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=8;

/// Number of concurrent uploads of a node. Each may have a file of maximum size on the disk.
const UPLOADS: usize = 16;

/// Kind of caller, with the tenant or network that shares the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitClass {
    /// Password verification.
    Login(Option<IpAddr>),
    /// Session refresh.
    Refresh(Option<IpAddr>),
    /// A device or a client of the gateway.
    Device(TenantId),
    /// A user or an API token; `None` for the platform's own.
    Person(Option<TenantId>),
    /// An upload of a user or an API token, which lasts as long as the file takes to arrive.
    Upload(Option<TenantId>),
    /// A user or an API token whose call stops offers or revokes a credential.
    Urgent(Option<TenantId>),
}

pub struct Permits {
    logins: Arc<Pool<Option<IpAddr>>>,
    refreshes: Arc<Pool<Option<IpAddr>>>,
    devices: Arc<Pool<Option<TenantId>>>,
    people: Arc<Pool<Option<TenantId>>>,
    uploads: Arc<Pool<Option<TenantId>>>,
    urgent: Arc<Pool<Option<TenantId>>>,
}

/// Right to run one call, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    _held: HeldSlot,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
enum HeldSlot {
    OfNetwork(PoolPermit<Option<IpAddr>>),
    OfTenant(PoolPermit<Option<TenantId>>),
}

impl Permits {
    /// Allows `at_once` concurrent calls of each kind.
    pub fn new(at_once: usize) -> Self {
        Self {
            logins: Pool::new(at_once),
            refreshes: Pool::new(at_once),
            devices: Pool::new(at_once),
            people: Pool::new(at_once),
            uploads: Pool::new(UPLOADS),
            urgent: Pool::new(at_once),
        }
    }

    /// Acquires a permit or fails at once. `random` spreads the `Retry-After` of refused callers.
    pub fn acquire(&self, class: PermitClass, random: u64) -> Result<Permit, ServiceError> {
        let of_network = |pool: &Arc<Pool<_>>, source: Option<IpAddr>| {
            pool.acquire(source.map(network_of)).map(HeldSlot::OfNetwork)
        };
        let (held, kind) = match class {
            PermitClass::Login(source) => (of_network(&self.logins, source), "login"),
            PermitClass::Refresh(source) => (of_network(&self.refreshes, source), "refresh"),
            PermitClass::Device(tenant) => (
                self.devices.acquire(Some(tenant)).map(HeldSlot::OfTenant),
                "device",
            ),
            PermitClass::Person(tenant) => (self.people.acquire(tenant).map(HeldSlot::OfTenant), "person"),
            PermitClass::Upload(tenant) => (self.uploads.acquire(tenant).map(HeldSlot::OfTenant), "upload"),
            PermitClass::Urgent(tenant) => (self.urgent.acquire(tenant).map(HeldSlot::OfTenant), "urgent"),
        };
        if let Some(held) = held {
            return Ok(Permit { _held: held });
        }
        metrics::counter!("slipway_costly_calls_refused_total", "kind" => kind).increment(1);
        let range = RETRY_AFTER_S.end() - RETRY_AFTER_S.start() + 1;
        Err(ServiceError::Busy {
            retry_after_s: RETRY_AFTER_S.start() + random % range,
        })
    }
}

/// Permits of one kind, shared by keys (tenants or networks).
#[derive(Debug)]
struct Pool<K: Eq + Hash> {
    size: usize,
    taken: Mutex<HashMap<K, usize>>,
}

#[derive(Debug)]
struct PoolPermit<K: Eq + Hash> {
    pool: Arc<Pool<K>>,
    key: K,
}

impl<K: Eq + Hash + Copy> Pool<K> {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            size,
            taken: Mutex::default(),
        })
    }

    /// Acquires a permit. A key without a permit gets one even if the pool is used up, until twice the pool's size is
    /// reached.
    fn acquire(self: &Arc<Self>, key: K) -> Option<PoolPermit<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&key).copied().unwrap_or_default();
        let is_first = own == 0 && (all < 2 * self.size);
        if !is_first && own >= self.size.saturating_sub(all) {
            return None;
        }
        taken.insert(key, own + 1);
        Some(PoolPermit {
            pool: self.clone(),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for PoolPermit<K> {
    fn drop(&mut self) {
        let mut taken = self.pool.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(tenant: i64) -> PermitClass {
        PermitClass::Person(TenantId::parse(tenant).ok())
    }

    fn acquire_all(permits: &Permits, class: PermitClass) -> Vec<Permit> {
        std::iter::from_fn(|| permits.acquire(class, 0).ok()).collect()
    }

    #[test]
    fn beyond_the_permits_callers_are_told_when_to_come_back() {
        let permits = Permits::new(1);
        let first = permits.acquire(person(1), 0).unwrap();
        let told: Vec<_> = (0..20)
            .map(|random| match permits.acquire(person(1), random) {
                Err(ServiceError::Busy { retry_after_s }) => retry_after_s,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.iter().min().zip(told.iter().max()), Some((&1, &8)));
        drop(first);
        assert!(permits.acquire(person(1), 0).is_ok());
    }

    #[test]
    fn a_tenant_leaves_permits_to_the_others() {
        let permits = Permits::new(64);
        let first = acquire_all(&permits, person(1));
        assert_eq!(first.len(), 32);
        let others: Vec<_> = (2..=60)
            .map(|tenant| acquire_all(&permits, person(tenant)))
            .collect();
        assert!(
            others.iter().all(|held| !held.is_empty()),
            "each gets at least one"
        );
    }

    #[test]
    fn kinds_do_not_take_each_others_permits() {
        let permits = Permits::new(2);
        let tenant = TenantId::parse(1).ok();
        let _people = acquire_all(&permits, person(1));
        let _logins: Vec<_> = (0..20)
            .map(|last| permits.acquire(PermitClass::Login(Some([192, 0, 2, last].into())), 0))
            .collect();
        assert!(permits.acquire(PermitClass::Refresh(None), 0).is_ok());
        assert!(permits.acquire(PermitClass::Urgent(tenant), 0).is_ok());
        assert!(permits.acquire(PermitClass::Device(tenant.unwrap()), 0).is_ok());
    }
}
