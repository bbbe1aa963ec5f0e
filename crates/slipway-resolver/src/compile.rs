//! Apps compiled for matching, with the bytes of their offers prepared.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::list_ref::{ListRef, index};
use super::prefetch::prefetch;
use super::prepare::{OfferEncoders, Prepared, PreparedBytes, PreparedWriter};
use super::string_pool::{StringPool, StringPoolBuilder, StringRef};
use super::targets::{Targets, TargetsCollector, TargetsIndex, TargetsTable};
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::org::{LevelCodes, OrgCode};
use slipway_domain::catalog::pin::{Pin, PinMode, PinTarget};
use slipway_domain::catalog::release::{Release, ReleaseState};
use slipway_domain::catalog::rollout::{RolloutUnit, Share};
use slipway_domain::catalog::text::{Identifier, PackageName};
use slipway_domain::catalog::version::VersionCode;

/// App with all data that a check may need.
#[derive(Debug, Serialize, Deserialize)]
pub struct PublishedApp {
    pub id: AppId,
    pub package_name: PackageName,
    pub old_package_names: Box<[PackageName]>,
    pub(super) enabled: bool,
    /// In the order of an answer: the app itself first, the others bytewise by identifier.
    pub(super) resources: Box<[PublishedResource]>,
    /// Grouped by resource.
    releases: Box<[CompiledRelease]>,
    targets: TargetsTable,
    texts: StringPool,
    prepared: Prepared,
    bytes: PreparedBytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PublishedResource {
    identifier: StringRef,
    /// The resource is the app itself.
    pub(super) is_app: bool,
    pub(super) enabled: bool,
    pub(super) repair_on_mismatch: bool,
    pub(super) can_be_rolled_back: bool,
    /// Most resources have no floors and no mandatory releases, and the flags avoid a search for them.
    pub(super) has_floors: bool,
    pub(super) has_mandatory: bool,
    pub(super) has_recalled: bool,
    /// Highest version of the resource's releases in any state; 0 if there are none.
    pub(super) highest_version: VersionCode,
    releases: ListRef,
    /// `None` for most resources.
    pub(super) pins: Option<Box<CompiledPins>>,
}

/// Release without its texts, which are part of the app's prepared bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct CompiledRelease {
    pub(super) id: ReleaseId,
    pub(super) version_code: VersionCode,
    prepared: Prepared,
    /// MD5 of the file as 32 lower-case hexadecimal digits; empty unless the resource repairs mismatches.
    md5: StringRef,
    targets: TargetsIndex,
    pub(super) share: Share,
    pub(super) unit: RolloutUnit,
    pub(super) state: ReleaseState,
    pub(super) auto_install: bool,
    pub(super) mandatory: bool,
    pub(super) floor: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CompiledPins {
    pub(super) of_devices: HashMap<Box<str>, CompiledPin>,
    pub(super) of_nodes: Vec<(LevelCodes, CompiledPin)>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CompiledPin {
    pub(super) mode: PinMode,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl PublishedApp {
    /// Compiles an app from releases in any state. The candidates among them are selected for each check.
    pub fn compile(
        app: &App,
        mut resources: Vec<Resource>,
        mut releases: Vec<Release>,
        pins: Vec<Pin>,
        encoders: &OfferEncoders,
    ) -> Self {
        resources.sort_by(|a, b| sort_key(app, a).cmp(&sort_key(app, b)));
        let mut builder = Builder::new(releases.len(), encoders);
        let mut compiled: Vec<_> = resources
            .iter()
            .map(|resource| PublishedResource::new(app, resource, &mut builder.texts))
            .collect();
        let positions: HashMap<_, _> = resources
            .iter()
            .enumerate()
            .map(|(position, resource)| (resource.identifier.as_str(), position))
            .collect();
        let position_of = |identifier: &Identifier| positions.get(identifier.as_str()).copied();

        for pin in pins {
            if let Some(position) = position_of(&pin.identifier) {
                compiled[position].add_pin(pin);
            }
        }
        releases.retain(|release| position_of(&release.identifier).is_some());
        releases.sort_by_cached_key(|release| {
            let newest_first = std::cmp::Reverse((release.content.version_code, release.id));
            (position_of(&release.identifier), newest_first)
        });
        for release in &releases {
            if let Some(position) = position_of(&release.identifier) {
                let resource = &mut compiled[position];
                let index = builder.add(app, resource, release);
                resource.add_release(index, release);
            }
        }
        Self {
            id: app.id,
            package_name: app.package_name.clone(),
            old_package_names: app.old_package_names.clone().into(),
            enabled: app.enabled,
            resources: compiled.into(),
            releases: builder.releases.into(),
            targets: builder.targets.into_table(),
            texts: builder.texts.into_all(),
            prepared: builder.bytes.add_app(app),
            bytes: builder.bytes.into_bytes(),
        }
    }

    /// Returns the app's current name and its old ones.
    pub fn every_name(&self) -> impl Iterator<Item = &PackageName> {
        std::iter::once(&self.package_name).chain(&self.old_package_names)
    }

    /// Returns the identifiers of all resources except the app itself, in bytewise order.
    pub fn part_identifiers(&self) -> impl Iterator<Item = &str> {
        let parts = self.resources.iter().filter(|resource| !resource.is_app);
        parts.filter_map(|resource| self.identifier_of(resource))
    }

    /// Returns the number of releases from which checks can be answered.
    pub fn release_count(&self) -> usize {
        self.releases.len()
    }

    /// Prefetches all data that a decision reads.
    pub(super) fn prefetch(&self) {
        prefetch(&self.resources, |resource| {
            let newest = self.releases_of(resource).first();
            newest.map_or(0, |release| u32::from(release.mandatory))
        });
        self.targets.prefetch();
        self.texts.prefetch();
    }

    /// Returns the number of bytes prepared for answers.
    pub fn prepared_byte_count(&self) -> usize {
        self.bytes.byte_count()
    }

    /// Returns the identifier of a resource. If it is missing (`None`), the installed version is unknown.
    pub(super) fn identifier_of(&self, resource: &PublishedResource) -> Option<&str> {
        self.texts.get(resource.identifier)
    }

    /// Returns the releases of a resource, highest version first. Missing releases are not offered.
    pub(super) fn releases_of(&self, resource: &PublishedResource) -> &[CompiledRelease] {
        resource.releases.of(&self.releases).unwrap_or_default()
    }

    pub(super) fn targets_of(&self, release: &CompiledRelease) -> Option<Targets<'_>> {
        self.targets.get(release.targets, &self.texts)
    }

    pub(super) fn prepared(&self, release: &CompiledRelease, slot: usize) -> &[u8] {
        self.bytes.get(release.prepared, slot)
    }

    /// Returns the MD5 of a release of a resource that repairs mismatches.
    pub(super) fn md5_of(&self, release: &CompiledRelease) -> Option<&str> {
        self.texts.get(release.md5)
    }

    pub(super) fn prepared_app(&self, slot: usize) -> &[u8] {
        self.bytes.get(self.prepared, slot)
    }
}

/// Returns the sort key of a resource within its app.
fn sort_key<'a>(app: &App, resource: &'a Resource) -> (bool, &'a str) {
    (!app.is_itself(&resource.identifier), resource.identifier.as_str())
}

/// Parts of an app's releases, collected in storage order.
struct Builder<'a> {
    releases: Vec<CompiledRelease>,
    targets: TargetsCollector,
    texts: StringPoolBuilder,
    bytes: PreparedWriter<'a>,
}

impl<'a> Builder<'a> {
    fn new(release_count: usize, encoders: &'a OfferEncoders) -> Self {
        Self {
            releases: Vec::with_capacity(release_count),
            targets: TargetsCollector::default(),
            texts: StringPoolBuilder::default(),
            bytes: PreparedWriter::new(encoders),
        }
    }

    /// Adds a release and returns its index.
    fn add(&mut self, app: &App, resource: &PublishedResource, release: &Release) -> u32 {
        let content = &release.content;
        let md5 = if resource.repair_on_mismatch {
            self.texts.add(content.file.md5.as_str())
        } else {
            StringRef::default()
        };
        self.releases.push(CompiledRelease {
            id: release.id,
            version_code: content.version_code,
            prepared: self.bytes.add_release(app, release),
            md5,
            targets: self.targets.index_of(content, &mut self.texts),
            share: content.rollout.share,
            unit: content.rollout.unit,
            state: release.state,
            auto_install: content.auto_install,
            mandatory: content.mandatory,
            floor: content.floor,
        });
        index(self.releases.len() - 1)
    }
}

impl PublishedResource {
    fn new(app: &App, resource: &Resource, texts: &mut StringPoolBuilder) -> Self {
        Self {
            identifier: texts.add(resource.identifier.as_str()),
            is_app: app.is_itself(&resource.identifier),
            enabled: resource.enabled,
            repair_on_mismatch: resource.repair_on_mismatch,
            can_be_rolled_back: resource.kind.can_be_rolled_back(),
            has_floors: false,
            has_mandatory: false,
            has_recalled: false,
            highest_version: VersionCode::NOT_INSTALLED,
            releases: ListRef::default(),
            pins: None,
        }
    }

    fn add_release(&mut self, index: u32, release: &Release) {
        self.releases.grow_to(index);
        self.has_floors |= release.content.floor;
        self.has_mandatory |= release.content.mandatory;
        self.has_recalled |= matches!(release.state, ReleaseState::Recalled(_));
        self.highest_version = self.highest_version.max(release.content.version_code);
    }

    fn add_pin(&mut self, pin: Pin) {
        let compiled = CompiledPin {
            mode: pin.mode,
            expires_at: pin.expires_at,
        };
        let pins = self.pins.get_or_insert_default();
        match pin.target {
            PinTarget::Device(id) => {
                pins.of_devices.insert(id.into_string().into(), compiled);
            }
            PinTarget::OrgNode(path) => {
                let codes: Vec<_> = path.iter().map(OrgCode::as_str).collect();
                pins.of_nodes.push((LevelCodes::from_path(&codes), compiled));
            }
        }
    }
}
