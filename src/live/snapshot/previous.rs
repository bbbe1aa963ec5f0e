//! Tenants in the newest snapshot that have not changed since. Their blocks are copied instead of packed again.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Weak};

use super::frames::{self, BlockLocation, HeaderTag, PackedBlock};
use crate::live::PublishedTenant;
use crate::secrets::Keyring;
use slipway_domain::catalog::ids::TenantId;

/// Snapshot that this process wrote.
pub(super) struct PreviousSnapshot {
    pub(super) file: File,
    pub(super) index: BlockIndex,
}

/// Locations of the tenants' blocks in a snapshot.
pub(super) struct BlockIndex {
    pub(super) header_tag: HeaderTag,
    pub(super) blocks: HashMap<TenantId, IndexedBlock>,
}

/// Block and the catalog that it was packed from.
pub(super) struct IndexedBlock {
    /// While this reference is held, no other catalog can have its address.
    published: Weak<PublishedTenant>,
    location: BlockLocation,
}

impl IndexedBlock {
    pub(super) fn new(published: &Arc<PublishedTenant>, location: BlockLocation) -> Self {
        Self {
            published: Arc::downgrade(published),
            location,
        }
    }
}

impl PreviousSnapshot {
    /// Returns the packed bytes of a tenant's catalog if this snapshot has them undamaged.
    pub(super) fn find(
        &self,
        tenant: TenantId,
        published: &Arc<PublishedTenant>,
        keyring: &Keyring,
    ) -> Option<PackedBlock> {
        let BlockIndex { header_tag, blocks } = &self.index;
        let block = blocks
            .get(&tenant)
            .filter(|block| block.published.as_ptr() == Arc::as_ptr(published))?;
        frames::reread_block(&self.file, header_tag, &block.location, keyring)
            .inspect_err(|error| {
                tracing::error!(tenant.id = %tenant, %error, "copying from the newest snapshot failed");
                metrics::counter!("slipway_snapshot_refused_total").increment(1);
            })
            .ok()
    }
}
