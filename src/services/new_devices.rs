//! The limit on devices that make themselves known in a tenant on one day, by a check or by enrolling: whoever has the
//! device key could otherwise fill the registry.
//!
//! Once half of the day's devices have come, each network may add a small share only, so that a stranger who took the
//! key out of a device cannot use up what the tenant's own devices need.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::rate_limit::RateLimit;
use crate::access::TenantScope;
use crate::catalog::ids::TenantId;
use crate::storage::{Reader, StorageError, devices};

/// A network's share of a day's devices is one of so many parts.
const SHARES: u64 = 20;
/// The least share, so that small limits are shared by coming first.
const LEAST_SHARE: u64 = 100;
const DAY: Duration = Duration::from_hours(24);

pub struct NewDevices {
    per_day: u64,
    counted: Mutex<HashMap<TenantId, Counted>>,
    /// By tenant and network.
    shares: RateLimit,
}

/// How many devices became known in a tenant on a day: at first those in the database, then also what this node adds.
/// What other nodes add meanwhile is not seen.
#[derive(Debug, Clone, Copy)]
struct Counted {
    day: NaiveDate,
    count: u64,
}

/// How many more devices may come, and from where.
pub(super) struct Allowance<'a> {
    tenant: TenantId,
    per_day: u64,
    counted: u64,
    shares: &'a RateLimit,
}

impl Allowance<'_> {
    /// True if one more may come from a network, when `planned` others do.
    pub(super) fn admits(&self, planned: u64, network: Option<IpAddr>) -> bool {
        let count = self.counted.saturating_add(planned);
        let is_scarce = count >= self.per_day / 2;
        count < self.per_day && (!is_scarce || self.shares.probe((self.tenant, network)).is_ok())
    }
}

impl NewDevices {
    /// Allows so many in each tenant on one day (UTC).
    pub fn new(per_day: u64) -> Self {
        let share = (per_day / SHARES).max(LEAST_SHARE);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        Self {
            per_day,
            counted: Mutex::default(),
            shares: RateLimit::in_period("new_devices", share, DAY),
        }
    }

    /// How many more may come on a day. To be asked before a transaction adds any itself.
    pub(super) async fn allowance(
        &self,
        reader: &impl Reader,
        scope: TenantScope,
        day: NaiveDate,
    ) -> Result<Allowance<'_>, StorageError> {
        let counted = match self.counted(scope.tenant(), day) {
            Some(counted) => counted,
            None => self.count(reader, scope, day).await?,
        };
        Ok(Allowance {
            tenant: scope.tenant(),
            per_day: self.per_day,
            counted,
            shares: &self.shares,
        })
    }

    /// Counts devices that became known, by their networks, once that is committed.
    pub(super) fn add(&self, tenant: TenantId, day: NaiveDate, networks: &[Option<IpAddr>]) {
        for network in networks {
            // One above its share was admitted while there was enough for everybody.
            let _ = self.shares.count((tenant, *network));
        }
        let mut all = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = all.get_mut(&tenant).filter(|counted| counted.day == day) {
            counted.count += networks.len() as u64;
        }
    }

    async fn count(
        &self,
        reader: &impl Reader,
        scope: TenantScope,
        day: NaiveDate,
    ) -> Result<u64, StorageError> {
        let count = devices::count_new(reader, scope, start_of(day)).await?;
        let mut all = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(scope.tenant(), Counted { day, count });
        Ok(count)
    }

    fn counted(&self, tenant: TenantId, day: NaiveDate) -> Option<u64> {
        let all = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = all.get(&tenant).filter(|counted| counted.day == day);
        counted.map(|counted| counted.count)
    }
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_added_many_leaves_the_second_half_to_others() {
        let limit = NewDevices::new(1_000);
        let (tenant, day) = (TenantId::parse(1).unwrap(), NaiveDate::default());
        let (stranger, store) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        let allowance = |counted| Allowance {
            tenant,
            per_day: 1_000,
            counted,
            shares: &limit.shares,
        };
        assert!(allowance(499).admits(0, stranger));
        limit.add(tenant, day, &[stranger; 500]);
        assert!(!allowance(500).admits(0, stranger));
        assert!(!allowance(400).admits(100, stranger));
        assert!(allowance(500).admits(0, store));
        assert!(allowance(999).admits(0, store));
        assert!(!allowance(1_000).admits(0, store));
        assert!(allowance(499).admits(0, stranger));
    }
}
