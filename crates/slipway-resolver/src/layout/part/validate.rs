//! Validation of a part of an app that was read from bytes: the only way from bytes to an [`AppPart`].
//!
//! Bytes may be authentic and still wrong, for example because a program with a defect wrote them. Such an app must not
//! be served: a wrong reference or order could offer a release to devices that are excluded from it.

use serde::Deserialize;

use super::{AppPart, CompiledRelease, PublishedResource};
use crate::layout::digest::Md5Digest;
use crate::layout::error::LayoutError;
use crate::layout::prepare::{Prepared, PreparedBytes};
use crate::layout::string_pool::StringPool;
use crate::layout::targets::TargetsTable;
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::version::VersionCode;

/// Part as it was read, not validated; has the fields of [`AppPart`] in the same order.
#[derive(Deserialize)]
pub(super) struct RawAppPart {
    enabled: bool,
    resources: Box<[PublishedResource]>,
    releases: Box<[CompiledRelease]>,
    md5s: Box<[Md5Digest]>,
    targets: TargetsTable,
    texts: StringPool,
    prepared: Prepared,
    bytes: PreparedBytes,
}

impl TryFrom<RawAppPart> for AppPart {
    type Error = LayoutError;

    fn try_from(raw: RawAppPart) -> Result<Self, LayoutError> {
        raw.validate()?;
        Ok(Self {
            enabled: raw.enabled,
            resources: raw.resources,
            releases: raw.releases,
            md5s: raw.md5s,
            targets: raw.targets,
            texts: raw.texts,
            prepared: raw.prepared,
            bytes: raw.bytes,
        })
    }
}

impl RawAppPart {
    fn validate(&self) -> Result<(), LayoutError> {
        self.targets.validate(&self.texts)?;
        self.bytes.require(self.prepared)?;
        for release in &self.releases {
            self.targets.require(release.targets)?;
            self.bytes.require(release.prepared)?;
        }
        self.resources
            .iter()
            .try_for_each(|resource| self.validate_resource(resource))
    }

    fn validate_resource(&self, resource: &PublishedResource) -> Result<(), LayoutError> {
        self.texts.require(resource.identifier)?;
        resource.releases.require_within(&self.releases, "releases")?;
        let releases = resource.releases.of(&self.releases);
        if !releases.is_sorted_by(|newer, older| newer.version_code >= older.version_code) {
            return Err(LayoutError::OutOfOrder("releases"));
        }
        resource.md5s.require_within(&self.md5s, "MD5s")?;
        if resource.repair_on_mismatch && resource.md5s.of(&self.md5s).len() != releases.len() {
            return Err(LayoutError::InvalidReference("MD5s"));
        }
        if !is_summary_of(resource, releases) {
            return Err(LayoutError::WrongSummary);
        }
        Ok(())
    }
}

fn is_summary_of(resource: &PublishedResource, releases: &[CompiledRelease]) -> bool {
    let is_recalled = |release: &CompiledRelease| matches!(release.state, ReleaseState::Recalled(_));
    let highest = releases
        .first()
        .map_or(VersionCode::NOT_INSTALLED, |release| release.version_code);
    resource.has_floors == releases.iter().any(|release| release.floor)
        && resource.has_mandatory == releases.iter().any(|release| release.mandatory)
        && resource.has_recalled == releases.iter().any(is_recalled)
        && resource.highest_version == highest
}
