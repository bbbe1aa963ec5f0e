//! Daily limit on new devices of a tenant, whether they appear by a check or by enrolment.
//!
//! Without it a holder of the device key could fill the registry.
//!
//! After half of the daily limit, each network may add only a small share. A device key extracted by an attacker
//! therefore cannot use up the limit of the tenant's own devices.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::rate_limit::RateLimit;
use crate::storage::{Reader, StorageError, devices};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::ids::TenantId;

/// A network's share is this fraction of the daily limit.
const SHARES: u64 = 20;
/// Minimum share. Small limits are therefore used first come, first served.
const MIN_SHARE: u64 = 100;
const DAY: Duration = Duration::from_hours(24);

pub struct NewDevices {
    per_day: u64,
    counted: Mutex<HashMap<TenantId, DailyCount>>,
    /// Keyed by tenant and network.
    shares: RateLimit,
}

/// Number of new devices of a tenant on a day: those in the database at first, then also those that this node adds.
///
/// Devices added later by other nodes are not counted.
#[derive(Debug, Clone, Copy)]
struct DailyCount {
    day: NaiveDate,
    count: u64,
}

/// Remaining new devices of a tenant on a day.
pub(super) struct Allowance<'a> {
    tenant: TenantId,
    per_day: u64,
    counted: u64,
    shares: &'a RateLimit,
}

impl Allowance<'_> {
    /// Returns `true` if one more device from a network is allowed, in addition to `planned` others.
    pub(super) fn admits(&self, planned: u64, network: Option<IpAddr>) -> bool {
        let count = self.counted.saturating_add(planned);
        let is_scarce = count >= self.per_day / 2;
        count < self.per_day && (!is_scarce || self.shares.probe((self.tenant, network)).is_ok())
    }
}

impl NewDevices {
    /// Allows `per_day` new devices per tenant and day (UTC).
    pub fn new(per_day: u64) -> Self {
        let share = (per_day / SHARES).max(MIN_SHARE);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        Self {
            per_day,
            counted: Mutex::default(),
            shares: RateLimit::in_period("new_devices", share, DAY),
        }
    }

    /// Returns the remaining new devices of a day. Must be called before the transaction adds any.
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

    /// Counts new devices by network. Call this after the commit.
    pub(super) fn add(&self, tenant: TenantId, day: NaiveDate, networks: &[Option<IpAddr>]) {
        for network in networks {
            // A network may exceed its share while the daily limit is not scarce.
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
        all.insert(scope.tenant(), DailyCount { day, count });
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
