//! What the newest snapshot has of tenants that did not change since: it is copied instead of packed again.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Weak};

use super::frames::{self, HeaderTag, Packed, Place};
use crate::catalog::ids::TenantId;
use crate::live::PublishedTenant;
use crate::secrets::Keyring;

/// A snapshot that this process wrote.
pub(super) struct Previous {
    pub(super) file: File,
    pub(super) contents: Contents,
}

/// Where the tenants' blocks are in a snapshot.
pub(super) struct Contents {
    pub(super) header_tag: HeaderTag,
    pub(super) blocks: HashMap<TenantId, BlockOf>,
}

/// A block, and of what it is.
pub(super) struct BlockOf {
    /// While this is held nothing else has its address.
    published: Weak<PublishedTenant>,
    place: Place,
}

impl BlockOf {
    pub(super) fn new(published: &Arc<PublishedTenant>, place: Place) -> Self {
        Self {
            published: Arc::downgrade(published),
            place,
        }
    }
}

impl Previous {
    /// The packed bytes of what is served of a tenant, if this snapshot has them undamaged.
    pub(super) fn find(
        &self,
        tenant: TenantId,
        published: &Arc<PublishedTenant>,
        keyring: &Keyring,
    ) -> Option<Packed> {
        let Contents { header_tag, blocks } = &self.contents;
        let block = blocks
            .get(&tenant)
            .filter(|block| block.published.as_ptr() == Arc::as_ptr(published))?;
        frames::read_again(&self.file, header_tag, &block.place, keyring)
            .inspect_err(|error| {
                tracing::error!(tenant.id = %tenant, %error, "the newest snapshot cannot be copied from");
                metrics::counter!("slipway_snapshot_refused_total").increment(1);
            })
            .ok()
    }
}
