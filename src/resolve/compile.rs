//! An app in a form made for matching, with the bytes of its offers prepared.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::prepare::{Form, Prepared, PreparedNames};
use super::targets::{Targets, TargetsCollector, TargetsIndex};
use crate::catalog::app::{App, Resource};
use crate::catalog::ids::{AppId, ReleaseId};
use crate::catalog::org::{LevelCodes, OrgCode};
use crate::catalog::pin::{Pin, PinMode, PinTarget};
use crate::catalog::release::{Release, ReleaseState};
use crate::catalog::rollout::{RolloutUnit, Share};
use crate::catalog::text::{Identifier, PackageName};
use crate::catalog::version::VersionCode;

/// An app with all that a check can need of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct PublishedApp {
    pub id: AppId,
    pub package_name: PackageName,
    pub old_package_names: Box<[PackageName]>,
    pub(super) enabled: bool,
    /// In the order of an answer: the app itself first, then by identifier, bytewise.
    pub(super) resources: Box<[PublishedResource]>,
    /// Of all resources, each resource's together.
    releases: Box<[CompiledRelease]>,
    targets: Box<[Targets]>,
    names: PreparedNames,
    /// What is prepared of every release.
    bytes: Box<[u8]>,
}

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PublishedResource {
    pub(super) identifier: Box<str>,
    /// It is the app itself.
    pub(super) is_app: bool,
    pub(super) enabled: bool,
    pub(super) repair_on_mismatch: bool,
    pub(super) can_be_rolled_back: bool,
    /// Most resources have none of either, and need not look for any.
    pub(super) has_floors: bool,
    pub(super) has_mandatory: bool,
    pub(super) has_recalled: bool,
    /// The highest version of its releases in any state; 0 without one.
    pub(super) highest_version: VersionCode,
    releases: Range<u32>,
    pub(super) device_pins: HashMap<Box<str>, CompiledPin>,
    pub(super) node_pins: Vec<(LevelCodes, CompiledPin)>,
}

/// A release without its texts, which stand among the app's prepared bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct CompiledRelease {
    pub(super) id: ReleaseId,
    pub(super) version_code: VersionCode,
    prepared: Prepared,
    targets: TargetsIndex,
    pub(super) share: Share,
    pub(super) unit: RolloutUnit,
    pub(super) state: ReleaseState,
    pub(super) auto_install: bool,
    pub(super) mandatory: bool,
    pub(super) floor: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CompiledPin {
    pub(super) mode: PinMode,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl PublishedApp {
    /// Compiles an app. Releases in any state may be given; which of them are candidates is the decision's business.
    pub fn compile(app: &App, resources: Vec<Resource>, mut releases: Vec<Release>, pins: Vec<Pin>) -> Self {
        let mut compiled: Vec<_> = resources
            .into_iter()
            .map(|resource| PublishedResource::new(app, &resource))
            .collect();
        compiled.sort_by(|a, b| (!a.is_app, &a.identifier).cmp(&(!b.is_app, &b.identifier)));
        let positions: HashMap<_, _> = compiled
            .iter()
            .enumerate()
            .map(|(position, published)| (published.identifier.clone(), position))
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
        let mut builder = Builder::for_releases(releases.len());
        for release in &releases {
            let index = builder.add(app, release);
            if let Some(position) = position_of(&release.identifier) {
                compiled[position].add_release(index, release);
            }
        }
        Self {
            id: app.id,
            package_name: app.package_name.clone(),
            old_package_names: app.old_package_names.clone().into(),
            enabled: app.enabled,
            resources: compiled.into(),
            releases: builder.releases.into(),
            targets: builder.targets.into_all(),
            names: PreparedNames::new(app),
            // Copied: shrunk in place, the allocator would keep up to half as much again.
            bytes: Box::from(builder.bytes.as_slice()),
        }
    }

    /// The app's current name and its old ones.
    pub fn every_name(&self) -> impl Iterator<Item = &PackageName> {
        std::iter::once(&self.package_name).chain(&self.old_package_names)
    }

    /// The identifiers of its resources but the app itself, bytewise.
    pub fn part_identifiers(&self) -> impl Iterator<Item = &str> {
        let parts = self.resources.iter().filter(|resource| !resource.is_app);
        parts.map(|resource| resource.identifier.as_ref())
    }

    /// Releases that checks can be answered from.
    pub fn release_count(&self) -> usize {
        self.releases.len()
    }

    /// Bytes that are prepared for answers.
    pub fn prepared_byte_count(&self) -> usize {
        self.bytes.len() + self.names.byte_count()
    }

    /// A resource's releases, highest version first.
    pub(super) fn releases_of(&self, resource: &PublishedResource) -> &[CompiledRelease] {
        &self.releases[resource.releases.start as usize..resource.releases.end as usize]
    }

    pub(super) fn targets_of(&self, release: &CompiledRelease) -> Option<&Targets> {
        release.targets.get(&self.targets)
    }

    pub(super) fn prepared(&self, release: &CompiledRelease, form: Form) -> &[u8] {
        release.prepared.of(&self.bytes, form)
    }

    /// The digest of a release's file, 32 lower-case hexadecimal digits.
    pub(super) fn md5_of(&self, release: &CompiledRelease) -> &[u8] {
        release.prepared.md5(&self.bytes)
    }

    pub(super) fn prepared_names(&self, form: Form) -> &[u8] {
        self.names.of(form)
    }
}

/// What is collected of an app's releases, in the order in which it is kept.
struct Builder {
    releases: Vec<CompiledRelease>,
    targets: TargetsCollector,
    bytes: Vec<u8>,
}

impl Builder {
    fn for_releases(count: usize) -> Self {
        Self {
            releases: Vec::with_capacity(count),
            targets: TargetsCollector::default(),
            bytes: Vec::new(),
        }
    }

    /// Adds a release and returns its index. More than 2^32 releases would not fit in memory.
    fn add(&mut self, app: &App, release: &Release) -> u32 {
        let content = &release.content;
        self.releases.push(CompiledRelease {
            id: release.id,
            version_code: content.version_code,
            prepared: Prepared::write(&mut self.bytes, app, release),
            targets: self.targets.index_of(content),
            share: content.rollout.share,
            unit: content.rollout.unit,
            state: release.state,
            auto_install: content.auto_install,
            mandatory: content.mandatory,
            floor: content.floor,
        });
        u32::try_from(self.releases.len() - 1).unwrap_or(u32::MAX)
    }
}

impl PublishedResource {
    fn new(app: &App, resource: &Resource) -> Self {
        Self {
            identifier: resource.identifier.as_str().into(),
            is_app: app.is_itself(&resource.identifier),
            enabled: resource.enabled,
            repair_on_mismatch: resource.repair_on_mismatch,
            can_be_rolled_back: resource.kind.can_be_rolled_back(),
            has_floors: false,
            has_mandatory: false,
            has_recalled: false,
            highest_version: 0,
            releases: 0..0,
            device_pins: HashMap::new(),
            node_pins: Vec::new(),
        }
    }

    fn add_release(&mut self, index: u32, release: &Release) {
        if self.releases.is_empty() {
            self.releases.start = index;
        }
        self.releases.end = index + 1;
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
        match pin.target {
            PinTarget::Device(id) => {
                self.device_pins.insert(id.into_string().into(), compiled);
            }
            PinTarget::OrgNode(path) => {
                let codes: Vec<_> = path.iter().map(OrgCode::as_str).collect();
                self.node_pins.push((LevelCodes::from_path(&codes), compiled));
            }
        }
    }
}
