//! Jobs of artifacts: leftovers of uploads, retention of unused artifacts, and verification.
//!
//! One node at a time does this, under a lease. Each node removes the abandoned uploads of its own disk.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::health::find_marker;
pub use super::health::{WATCH_NAME, probe, watch};
use super::retention::{delete_leftovers, delete_unused};
use super::scrub::scrub;
use crate::poller::{PollOutcome, Poller, PollingTask};
use crate::random;
use crate::services::{Context, ServiceError};
use crate::storage::leases;

/// Name of the task.
pub const NAME: &str = "artifact_jobs";
const LEASE: &str = "artifacts";
const EVERY: Duration = Duration::from_mins(10);
/// Longer than the interval and than the verification of one large file.
const LEASE_FOR: TimeDelta = TimeDelta::hours(1);
/// Age from which objects and temporary files without an artifact are leftovers.
const LEFTOVER_AFTER: TimeDelta = TimeDelta::days(1);
/// Interval of the comparison of the store with the database.
const LIST_EVERY: TimeDelta = TimeDelta::days(1);

/// Result of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobReport {
    /// Temporary files of this node.
    pub abandoned_uploads: u64,
    /// Objects without an artifact.
    pub leftovers: u64,
    /// Unused artifacts that were deleted.
    pub deleted: u64,
    /// Artifacts that were verified.
    pub scrubbed: u64,
    /// Verified artifacts that are damaged.
    pub damaged: u64,
}

/// Jobs of one node.
#[derive(Debug)]
pub struct ArtifactJobs {
    holder: String,
    listed_at: Option<DateTime<Utc>>,
}

/// Jobs that are polled. The first round begins at once.
struct PolledJobs<'a> {
    ctx: &'a Context,
    jobs: &'a mut ArtifactJobs,
}

impl Default for ArtifactJobs {
    fn default() -> Self {
        Self {
            holder: random::uuid().to_string(),
            listed_at: None,
        }
    }
}

impl ArtifactJobs {
    /// Runs rounds until the task is dropped.
    pub async fn run(&mut self, ctx: &Context) {
        Poller::new(NAME, EVERY)
            .with_longest_retry(EVERY)
            .run(&mut PolledJobs { ctx, jobs: self })
            .await;
    }

    /// Runs one round. Only the abandoned uploads are deleted while another node holds the lease.
    pub async fn run_once(&mut self, ctx: &Context) -> Result<JobReport, ServiceError> {
        let store = &ctx.artifacts().store;
        let old = ctx.now() - LEFTOVER_AFTER;
        let mut report = JobReport {
            abandoned_uploads: store.delete_abandoned_uploads(old).await?,
            ..JobReport::default()
        };
        if !self.renew(ctx).await? {
            return Ok(report);
        }
        report.deleted = delete_unused(ctx).await?;
        // Without the marker, the folder or bucket is another one, and nothing in it can be judged.
        if !find_marker(ctx).await? {
            return Ok(report);
        }
        if self.listed_at.is_none_or(|at| ctx.now() - at >= LIST_EVERY) {
            report.leftovers = delete_leftovers(ctx, old).await?;
            self.listed_at = Some(ctx.now());
        }
        (report.scrubbed, report.damaged) = scrub(ctx, || self.renew(ctx)).await?;
        Ok(report)
    }

    /// Acquires or renews the lease. Returns `false` while another node holds it.
    async fn renew(&self, ctx: &Context) -> Result<bool, ServiceError> {
        Ok(leases::try_acquire(ctx.db(), LEASE, &self.holder, ctx.now(), LEASE_FOR).await?)
    }
}

impl PollingTask for PolledJobs<'_> {
    type Hint = Infallible;
    type Error = ServiceError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<PollOutcome, ServiceError> {
        let report = self.jobs.run_once(self.ctx).await?;
        tracing::debug!(?report, "artifact jobs");
        Ok(PollOutcome::Polled)
    }
}
