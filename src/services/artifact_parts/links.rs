//! Download links in memory, so that most downloads need no database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::artifacts::{LinkedArtifact, OwnedArtifact};
use slipway_domain::catalog::artifact::DownloadKey;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::revision::CatalogRevision;

/// Maximum number of links in memory.
const MAX_LINKS: usize = 1_024;

/// Links that were read from the database. Whatever a download depends on changes together with the revision of its
/// tenant. A link is therefore known while this node serves the revision that it was read with: it becomes invalid
/// when the offers change.
#[derive(Debug, Default)]
pub(in crate::services) struct KnownLinks(Mutex<HashMap<DownloadKey, KnownLink>>);

#[derive(Debug)]
struct KnownLink {
    artifact: Arc<OwnedArtifact>,
    revision: CatalogRevision,
}

impl KnownLinks {
    /// Returns the artifact of a link; `None` if it must be read. `is_served` tells whether this node serves a revision
    /// of a tenant.
    pub(in crate::services) fn find(
        &self,
        key: &DownloadKey,
        is_served: impl FnOnce(TenantId, &CatalogRevision) -> bool,
    ) -> Option<Arc<OwnedArtifact>> {
        let links = self.lock();
        let known = links.get(key)?;
        is_served(known.artifact.scope.tenant(), &known.revision).then(|| known.artifact.clone())
    }

    /// Keeps a link that was read.
    pub(in crate::services) fn insert(&self, key: &DownloadKey, found: LinkedArtifact) -> Arc<OwnedArtifact> {
        let artifact = Arc::new(found.owned);
        let Some(revision) = found.revision else {
            return artifact;
        };
        let known = KnownLink {
            artifact: artifact.clone(),
            revision,
        };
        let mut links = self.lock();
        if links.len() >= MAX_LINKS && !links.contains_key(key) {
            // Any of them: one in use is read again soon.
            let other = links.keys().next().cloned();
            other.and_then(|other| links.remove(&other));
        }
        links.insert(key.clone(), known);
        artifact
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DownloadKey, KnownLink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
