//! Part of a published app: some of its resources, with the lists, texts and bytes that a check may need, and the lookups
//! in them.

mod validate;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::validate::RawAppPart;
use super::digest::Md5Digest;
use super::list_ref::ListRef;
use super::prefetch::prefetch;
use super::prepare::{Prepared, PreparedBytes};
use super::string_pool::{StringPool, StringRef};
use super::targets::{Targets, TargetsIndex, TargetsTable};
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::org::LevelCodes;
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::rollout::{RolloutUnit, Share};
use slipway_domain::catalog::version::VersionCode;

/// Resources of an app with all data that a check may need. Valid by construction: its references lead to what they name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "RawAppPart")]
pub struct AppPart {
    pub(crate) enabled: bool,
    /// In the order of an answer: the app itself first, the others bytewise by identifier.
    pub(crate) resources: Box<[PublishedResource]>,
    /// Grouped by resource.
    pub(super) releases: Box<[CompiledRelease]>,
    /// Of the resources that repair mismatches, in the order of their releases.
    pub(super) md5s: Box<[Md5Digest]>,
    pub(super) targets: TargetsTable,
    pub(super) texts: StringPool,
    pub(super) prepared: Prepared,
    pub(super) bytes: PreparedBytes,
}

/// Place of a resource in the order of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position<'a> {
    /// `false` for the app itself, which comes first.
    is_module: bool,
    identifier: &'a str,
}

impl<'a> Position<'a> {
    pub(super) fn new(is_app: bool, identifier: &'a str) -> Self {
        Self {
            is_module: !is_app,
            identifier,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PublishedResource {
    pub(super) identifier: StringRef,
    /// The resource is the app itself.
    pub(crate) is_app: bool,
    pub(crate) enabled: bool,
    pub(crate) repair_on_mismatch: bool,
    pub(crate) can_be_rolled_back: bool,
    /// Most resources have no floors and no mandatory releases, and the flags avoid a search for them.
    pub(crate) has_floors: bool,
    pub(crate) has_mandatory: bool,
    pub(crate) has_recalled: bool,
    /// Highest version of the releases that the part has of the resource; 0 if there are none.
    pub(crate) highest_version: VersionCode,
    pub(super) releases: ListRef,
    /// Digests of the same releases; empty unless the resource repairs mismatches.
    pub(super) md5s: ListRef,
    /// `None` for most resources.
    pub(crate) pins: Option<Box<CompiledPins>>,
}

/// Release without its texts, which are part of the app's prepared bytes.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct CompiledRelease {
    pub(crate) id: ReleaseId,
    pub(crate) version_code: VersionCode,
    pub(super) prepared: Prepared,
    pub(super) targets: TargetsIndex,
    pub(crate) share: Share,
    pub(crate) unit: RolloutUnit,
    pub(crate) state: ReleaseState,
    pub(crate) auto_install: bool,
    pub(crate) mandatory: bool,
    pub(crate) floor: bool,
    pub(crate) min_sdk: Option<MinSdk>,
    /// The file is an artifact that cannot be downloaded.
    pub(crate) file_unavailable: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CompiledPins {
    pub(crate) of_devices: HashMap<Box<str>, CompiledPin>,
    pub(crate) of_nodes: Vec<(LevelCodes, CompiledPin)>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CompiledPin {
    pub(crate) mode: PinMode,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl AppPart {
    /// Returns the number of releases from which checks can be answered.
    pub(super) fn release_count(&self) -> usize {
        self.releases.len()
    }

    /// Returns the ids of the releases from which checks can be answered.
    pub(super) fn release_ids(&self) -> impl Iterator<Item = ReleaseId> {
        self.releases.iter().map(|release| release.id)
    }

    /// Returns the number of bytes prepared for answers.
    pub(super) fn prepared_byte_count(&self) -> usize {
        self.bytes.byte_count()
    }

    /// Returns the position of the first resource in the order of an answer; `None` without resources.
    pub(super) fn first_position(&self) -> Option<Position<'_>> {
        Some(self.position_of(self.resources.first()?))
    }

    fn position_of(&self, resource: &PublishedResource) -> Position<'_> {
        Position::new(resource.is_app, self.identifier_of(resource))
    }

    /// Returns the identifiers of the resources from this position on.
    pub(super) fn identifiers_from(&self, start: Position<'_>) -> impl Iterator<Item = &str> {
        let first = self
            .resources
            .partition_point(|resource| self.position_of(resource) < start);
        let rest = self.resources[first..].iter();
        rest.map(|resource| self.identifier_of(resource))
    }

    /// Prefetches all data that a decision reads.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.resources, |resource| {
            let newest = self.releases_of(resource).first();
            newest.map_or(0, |release| u32::from(release.mandatory))
        });
        self.targets.prefetch();
        self.texts.prefetch();
    }

    pub(crate) fn identifier_of(&self, resource: &PublishedResource) -> &str {
        self.texts.get(resource.identifier)
    }

    /// Returns the releases of a resource, highest version first.
    pub(crate) fn releases_of(&self, resource: &PublishedResource) -> &[CompiledRelease] {
        resource.releases.of(&self.releases)
    }

    pub(crate) fn targets_of(&self, release: &CompiledRelease) -> Targets<'_> {
        self.targets.get(release.targets, &self.texts)
    }

    pub(crate) fn prepared(&self, release: &CompiledRelease, slot: usize) -> &[u8] {
        self.bytes.get(release.prepared, slot)
    }

    pub(crate) fn prepared_app(&self, slot: usize) -> &[u8] {
        self.bytes.get(self.prepared, slot)
    }

    /// Returns `true` if the text is the MD5 of a release of this resource, which repairs mismatches.
    pub(crate) fn is_md5_of(
        &self,
        resource: &PublishedResource,
        release: &CompiledRelease,
        text: &str,
    ) -> bool {
        let releases = self.releases_of(resource).iter();
        let mut digests = releases.zip(resource.md5s.of(&self.md5s));
        let own = digests.find(|(other, _)| other.id == release.id);
        own.is_some_and(|(_, digest)| Md5Digest::parse(text) == Some(*digest))
    }
}
