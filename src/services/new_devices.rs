//! The limit on devices that make themselves known in a tenant on one day, by a check or by enrolling: whoever has the
//! device key could otherwise fill the registry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::access::TenantScope;
use crate::catalog::ids::TenantId;
use crate::storage::{Reader, StorageError, devices};

pub struct NewDevices {
    per_day: u64,
    counted: Mutex<HashMap<TenantId, Counted>>,
}

/// How many devices became known in a tenant on a day: at first those in the database, then also what this node adds.
/// What other nodes add meanwhile is not seen.
#[derive(Debug, Clone, Copy)]
struct Counted {
    day: NaiveDate,
    count: u64,
}

impl NewDevices {
    /// Allows so many in each tenant on one day (UTC).
    pub fn new(per_day: u64) -> Self {
        Self {
            per_day,
            counted: Mutex::default(),
        }
    }

    /// How many more may come on a day. To be asked before a transaction adds any itself.
    pub(super) async fn allowance(
        &self,
        reader: &impl Reader,
        scope: TenantScope,
        day: NaiveDate,
    ) -> Result<u64, StorageError> {
        if let Some(counted) = self.counted(scope.tenant(), day) {
            return Ok(self.per_day.saturating_sub(counted));
        }
        let count = devices::count_new(reader, scope, start_of(day)).await?;
        let mut all = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(scope.tenant(), Counted { day, count });
        Ok(self.per_day.saturating_sub(count))
    }

    /// Counts devices that became known, once that is committed.
    pub(super) fn add(&self, tenant: TenantId, day: NaiveDate, added: u64) {
        let mut all = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = all.get_mut(&tenant).filter(|counted| counted.day == day) {
            counted.count += added;
        }
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
