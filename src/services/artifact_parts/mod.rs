//! Artifact store of a node, with its limits, links and state. It is a part of the context; the use cases are in
//! `services/artifacts`.

mod health;
mod links;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::health::{StoreHealth, StoreState};
pub(in crate::services) use self::links::KnownLinks;
pub use self::pace::MinRate;
pub(in crate::services) use self::pace::Pace;
use super::ServiceError;
use crate::artifact_store::{ArtifactStore, StoreError};
use slipway_domain::catalog::download_urls::DownloadUrls;

/// Range of `Retry-After` in seconds. Values are spread, so that devices do not return together.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 5..=60;
/// Step through that range; it has no common divisor with its length.
const SPREAD: u64 = 37;

/// Right to send one download, until it is dropped.
#[derive(Debug)]
pub struct DownloadPermit {
    _permit: OwnedSemaphorePermit,
}

/// Settings of artifacts.
#[derive(Debug, Clone)]
pub struct ArtifactSettings {
    /// Maximum size of an artifact in bytes.
    pub max_bytes: u64,
    /// Time that an unused artifact is kept; `None` keeps it forever.
    pub retention: Option<TimeDelta>,
    /// Time within which every artifact is verified; `None` verifies none.
    pub scrub_within: Option<TimeDelta>,
    /// Maximum number of concurrent downloads.
    pub downloads: usize,
    /// Minimum rate of a download; `None` if there is none.
    pub slowest_download: Option<MinRate>,
    /// Answer downloads with a redirect to the bucket.
    pub redirects: bool,
    /// Addresses of downloads.
    pub download_urls: DownloadUrls,
}

/// Artifact store of a node, with its limits and its state.
pub struct Artifacts {
    pub store: ArtifactStore,
    pub settings: ArtifactSettings,
    pub health: StoreHealth,
    pub(in crate::services) links: KnownLinks,
    downloads: Arc<Semaphore>,
    /// Number of downloads that were refused.
    refused: AtomicU64,
}

impl Artifacts {
    pub fn new(store: ArtifactStore, settings: ArtifactSettings) -> Self {
        Self {
            store,
            downloads: Arc::new(Semaphore::new(settings.downloads)),
            settings,
            health: StoreHealth::default(),
            links: KnownLinks::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Acquires the permit of a download, or fails at once.
    pub(in crate::services) fn acquire_download(&self) -> Result<DownloadPermit, ServiceError> {
        if let Ok(permit) = self.downloads.clone().try_acquire_owned() {
            return Ok(DownloadPermit { _permit: permit });
        }
        metrics::counter!("slipway_downloads_refused_total").increment(1);
        let range = RETRY_AFTER_S.end() - RETRY_AFTER_S.start() + 1;
        // Steps through the range in an order without neighbours.
        let spread = self.refused.fetch_add(SPREAD, Ordering::Relaxed) % range;
        Err(ServiceError::Busy {
            retry_after_s: RETRY_AFTER_S.start() + spread,
        })
    }

    /// Returns the number of downloads under way.
    pub fn running_downloads(&self) -> usize {
        self.settings
            .downloads
            .saturating_sub(self.downloads.available_permits())
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::InsufficientStorage(
                "the artifact store is full; free space or enlarge it, then repeat the request".to_owned(),
            ),
            other => Self::StoreUnavailable(other),
        }
    }
}
