//! Counts the devices of every tenant each hour: by version, with one value a day, and by org node.
//!
//! One node at a time does this, under a lease. Numbers of devices are kept with each write of a device, so that a count
//! reads the versions and places in use, however many devices have them. It reads them in pages with pauses between them,
//! and writes in short transactions. Each count replaces the previous one of the day, so that a repeated count changes nothing. A round
//! that ends early continues with the tenants that it has not counted.

mod nodes;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::tally::{ResourceKey, Tally};
use crate::error_chain::error_chain;
use crate::poller::{PollOutcome, Poller, PollingTask};
use crate::random;
use crate::services::{Context, ServiceError};
use crate::storage::device_counts::{self, AppVersionCount};
use crate::storage::{Cause, adoption, adoption_counting, leases};
use crate::timer;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::adoption::{KEPT_DAYS, ResourceDay, SEEN_WITHIN_DAYS, first_counted_day};
use slipway_domain::catalog::ids::TenantId;

/// Name of the task.
pub const NAME: &str = "adoption_history";
const LEASE: &str = "adoption_history";
/// Interval at which the task looks for tenants that are due.
const POLL_EVERY: Duration = Duration::from_mins(1);
/// Interval of the counts of a tenant.
const COUNT_EVERY: TimeDelta = TimeDelta::hours(1);
/// Longer than the interval of renewals and than any clock difference.
const LEASE_FOR: TimeDelta = TimeDelta::minutes(5);
const RENEW_EVERY: Duration = Duration::from_mins(1);

const TENANTS_AT_ONCE: u64 = 500;
/// Changes of numbers that are added in one transaction.
const CHANGES_AT_ONCE: u64 = 20_000;
/// Numbers of versions read by one statement.
const VERSIONS_AT_ONCE: u64 = 5_000;
/// A pause is as long as the step before it, up to this time. Other work gets its turn between two steps.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Days of resources read by one statement or written in one transaction.
const ROWS_AT_ONCE: usize = 500;
/// Statements per round that remove old days, or numbers of a tenant that are 0. The next round continues.
const REMOVALS: usize = 500;

/// Result of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountReport {
    /// Tenants that were counted.
    pub tenants: u64,
    /// Days of resources that were written, because they are new or changed.
    pub written: u64,
    /// Days that were removed, because no device has the resource any more.
    pub gone: u64,
    /// Days that were removed, because they are too old.
    pub expired: u64,
    /// Numbers of org nodes that were written or removed, because they have changed.
    pub nodes: u64,
}

/// Background task that counts, with its name in the lease.
struct AdoptionCounter<'a> {
    ctx: &'a Context,
    holder: String,
}

/// Counts what is due every minute until the task is dropped.
pub async fn run(ctx: &Context) {
    let holder = random::uuid().to_string();
    Poller::new(NAME, POLL_EVERY)
        .with_longest_retry(POLL_EVERY)
        .run(&mut AdoptionCounter { ctx, holder })
        .await;
}

impl PollingTask for AdoptionCounter<'_> {
    type Hint = Infallible;
    type Error = ServiceError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<PollOutcome, ServiceError> {
        if let Some(report) = count_due(self.ctx, &self.holder).await? {
            tracing::debug!(?report, "adoption counted");
        }
        Ok(PollOutcome::Polled)
    }
}

/// Counts the tenants that are due and removes old days. Returns `None` if no tenant is due or another node holds the
/// lease.
pub async fn count_due(ctx: &Context, holder: &str) -> Result<Option<CountReport>, ServiceError> {
    let mut round = Round::new(ctx, holder);
    let mut due = round.list_due(None).await?;
    if due.is_empty() || !round.renew_lease().await? {
        return Ok(None);
    }
    if !round.apply_changes().await? {
        return Ok(Some(round.report));
    }
    while let Some(last) = due.last().map(|scope| scope.tenant()) {
        for scope in due {
            if !round.count_unless_unreadable(scope).await? {
                return Ok(Some(round.report));
            }
        }
        due = round.list_due(Some(last)).await?;
    }
    round.remove_old().await?;
    Ok(Some(round.report))
}

/// Returns `true` for a failure that the rows of one tenant cause: they cannot be read, or not in time.
fn is_of_tenant(error: &ServiceError) -> bool {
    let is_late = matches!(
        error,
        ServiceError::Unavailable {
            cause: Cause::TimedOut,
            ..
        }
    );
    is_late || !error.is_transient()
}

/// Gives other work its turn after a step.
async fn pause_after(began: Instant) {
    tokio::time::sleep(began.elapsed().min(LONGEST_PAUSE)).await;
}

/// A round of counts.
struct Round<'a> {
    ctx: &'a Context,
    holder: &'a str,
    now: DateTime<Utc>,
    /// End of the part of the lease after which it is renewed.
    renew_at: Option<Instant>,
    report: CountReport,
}

impl<'a> Round<'a> {
    fn new(ctx: &'a Context, holder: &'a str) -> Self {
        Self {
            ctx,
            holder,
            now: ctx.now(),
            renew_at: None,
            report: CountReport::default(),
        }
    }

    fn today(&self) -> NaiveDate {
        self.now.date_naive()
    }

    async fn list_due(&self, after: Option<TenantId>) -> Result<Vec<TenantScope>, ServiceError> {
        let db = self.ctx.db();
        Ok(adoption_counting::list_due(db, after, self.now, COUNT_EVERY, TENANTS_AT_ONCE).await?)
    }

    /// Acquires or renews the lease if that is due. Returns `false` while another node holds it.
    async fn renew_lease(&mut self) -> Result<bool, ServiceError> {
        let now = timer::now();
        if self.renew_at.is_some_and(|renew_at| now < renew_at) {
            return Ok(true);
        }
        self.renew_at = Some(now + RENEW_EVERY);
        let (db, now) = (self.ctx.db(), self.ctx.now());
        Ok(leases::try_acquire(db, LEASE, self.holder, now, LEASE_FOR).await?)
    }

    /// Counts a tenant. One whose rows cannot be read must not keep the others from being counted.
    async fn count_unless_unreadable(&mut self, scope: TenantScope) -> Result<bool, ServiceError> {
        match self.count(scope).await {
            Err(error) if is_of_tenant(&error) => {
                let (tenant, error) = (scope.tenant().get(), error_chain(&error));
                tracing::error!(tenant, error, "the devices of a tenant cannot be counted");
                // It is tried again when it is due again.
                adoption_counting::record_count(self.ctx.db(), scope, self.now).await?;
                Ok(true)
            }
            result => result,
        }
    }

    /// Counts the devices of a tenant. Returns `false` if the lease was lost meanwhile.
    async fn count(&mut self, scope: TenantScope) -> Result<bool, ServiceError> {
        if !self.count_versions(scope).await? || !self.count_nodes(scope).await? {
            return Ok(false);
        }
        self.remove_zeros(scope).await?;
        adoption_counting::record_node_count(self.ctx.db(), scope, self.now).await?;
        self.report.tenants += 1;
        Ok(true)
    }

    /// Adds the changes that writers have appended to the numbers. Returns `false` if the lease was lost meanwhile.
    async fn apply_changes(&mut self) -> Result<bool, ServiceError> {
        loop {
            if !self.renew_lease().await? {
                return Ok(false);
            }
            let began = timer::now();
            if !device_counts::apply_changes(self.ctx.db(), CHANGES_AT_ONCE).await? {
                return Ok(true);
            }
            pause_after(began).await;
        }
    }

    /// Counts the devices of a tenant by version. Returns `false` if the lease was lost meanwhile.
    async fn count_versions(&mut self, scope: TenantScope) -> Result<bool, ServiceError> {
        let since = first_counted_day(self.now, SEEN_WITHIN_DAYS);
        let mut tally = Tally::default();
        let mut last: Option<AppVersionCount> = None;
        // Not while the pages are read, which has a connection of its own.
        if !self.renew_lease().await? {
            return Ok(false);
        }
        let reader = device_counts::begin_pages(self.ctx.db()).await?;
        loop {
            let began = timer::now();
            let limit = VERSIONS_AT_ONCE;
            let page = device_counts::list_versions(&reader, scope, since, last.as_ref(), limit).await?;
            let is_last_page = (page.len() as u64) < limit;
            last = page.last().cloned();
            tally.add(page);
            if is_last_page {
                break;
            }
            pause_after(began).await;
        }
        drop(reader);
        self.save(scope, tally).await?;
        Ok(true)
    }

    /// Replaces the numbers of the day.
    async fn save(&mut self, scope: TenantScope, tally: Tally) -> Result<(), ServiceError> {
        let mut changed = tally.into_days(self.today());
        let mut gone = Vec::new();
        let mut last: Option<ResourceDay> = None;
        loop {
            let (db, day) = (self.ctx.db(), self.today());
            let stored = adoption::list_of_day(db, scope, day, last.as_ref(), ROWS_AT_ONCE as u64).await?;
            let is_last_page = stored.len() < ROWS_AT_ONCE;
            last = stored.last().cloned();
            for day in stored {
                let key: ResourceKey = (day.app, day.identifier.clone());
                match changed.get(&key) {
                    Some(counted) if *counted == day => drop(changed.remove(&key)),
                    Some(_) => {}
                    None => gone.push(day),
                }
            }
            if is_last_page {
                break;
            }
        }
        let changed: Vec<_> = changed.into_values().collect();
        self.write(scope, &changed).await?;
        self.remove(scope, &gone).await
    }

    async fn write(&mut self, scope: TenantScope, days: &[ResourceDay]) -> Result<(), ServiceError> {
        for days in days.chunks(ROWS_AT_ONCE) {
            let tx = self.ctx.db().begin().await?;
            adoption::upsert(&tx, scope, days).await?;
            tx.commit().await?;
            self.report.written += days.len() as u64;
        }
        Ok(())
    }

    async fn remove(&mut self, scope: TenantScope, days: &[ResourceDay]) -> Result<(), ServiceError> {
        for days in days.chunks(ROWS_AT_ONCE) {
            let tx = self.ctx.db().begin().await?;
            for day in days {
                adoption::delete(&tx, scope, day).await?;
            }
            tx.commit().await?;
            self.report.gone += days.len() as u64;
        }
        Ok(())
    }

    async fn remove_zeros(&self, scope: TenantScope) -> Result<(), ServiceError> {
        for _ in 0..REMOVALS {
            let began = timer::now();
            if !device_counts::remove_zeros(self.ctx.db(), scope, ROWS_AT_ONCE as u64).await? {
                break;
            }
            pause_after(began).await;
        }
        Ok(())
    }

    async fn remove_old(&mut self) -> Result<(), ServiceError> {
        let first_kept = self.today() - TimeDelta::days(i64::from(KEPT_DAYS) - 1);
        for _ in 0..REMOVALS {
            let removed = adoption::delete_before(self.ctx.db(), first_kept, ROWS_AT_ONCE as u64).await?;
            self.report.expired += removed;
            if removed < ROWS_AT_ONCE as u64 {
                break;
            }
        }
        Ok(())
    }
}
