//! Artifacts: uploads, downloads, links, and the jobs that delete and verify them.

mod content;
mod facts;
mod health;
pub mod jobs;
mod links;
mod manage;
mod retention;
mod scrub;
mod upload;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Semaphore;

pub use self::content::{
    DownloadPermit, OpenContent, find_content, find_link, open, open_icon, redirect_url,
};
pub use self::health::StoreHealth;
pub use self::links::{PageFacts, page_facts};
pub use self::manage::{ArtifactUses, delete, get, list, replace_link, set_keep};
pub use self::upload::{ArtifactUpload, UploadedArtifact, begin_upload, complete_upload};
use crate::artifact_store::{ArtifactStore, ObjectName, StoreError};
pub use crate::artifact_store::{ContentReader, ReceivedFile, Upload};
use crate::services::ServiceError;
pub use crate::storage::artifacts::OwnedArtifact;
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::download_urls::DownloadUrls;

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
    downloads: Arc<Semaphore>,
}

impl Artifacts {
    pub fn new(store: ArtifactStore, settings: ArtifactSettings) -> Self {
        Self {
            store,
            downloads: Arc::new(Semaphore::new(settings.downloads)),
            settings,
            health: StoreHealth::default(),
        }
    }

    /// Returns the number of downloads under way.
    pub fn running_downloads(&self) -> usize {
        self.settings
            .downloads
            .saturating_sub(self.downloads.available_permits())
    }
}

fn object_name(scope: TenantScope, artifact: &Artifact) -> ObjectName {
    ObjectName {
        tenant: scope.tenant(),
        sha256: artifact.sha256.clone(),
        id: artifact.id,
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
