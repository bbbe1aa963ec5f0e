//! Offer of one release to one device.

use crate::layout::{AppPart, CompiledRelease, PublishedResource};
use slipway_domain::catalog::ids::ReleaseId;

#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The release is older than the installed one, which was recalled.
    pub is_rollback: bool,
    pub auto_install: bool,
    /// Old name of the app in the answer; `""` if it has none.
    pub old_package_name: &'a str,
    pub(super) app: &'a AppPart,
    pub(super) resource: &'a PublishedResource,
    pub(super) release: &'a CompiledRelease,
}

impl<'a> Offer<'a> {
    /// Returns what the encoder in this slot wrote for the release.
    pub fn prepared_release(&self, slot: usize) -> &'a [u8] {
        self.app.prepared(self.release, slot)
    }

    /// Returns what the encoder in this slot wrote for the app.
    pub fn prepared_app(&self, slot: usize) -> &'a [u8] {
        self.app.prepared_app(slot)
    }

    /// Returns the id of the offered release.
    pub fn release_id(&self) -> ReleaseId {
        self.release.id
    }

    /// Returns the identifier of the offered resource.
    pub fn identifier(&self) -> &'a str {
        self.app.identifier_of(self.resource)
    }
}
