//! An app in a form made for matching, with the bytes of its offers prepared.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::prepare::{Form, Prepared, PreparedBytes, PreparedWriter};
use super::read_ahead::read_ahead;
use super::span::{Span, index};
use super::targets::{Targets, TargetsCollector, TargetsIndex, TargetsTable};
use super::texts::{Text, TextCollector, Texts};
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
    targets: TargetsTable,
    texts: Texts,
    names: Prepared,
    bytes: PreparedBytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PublishedResource {
    identifier: Text,
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
    releases: Span,
    /// Most resources have none.
    pub(super) pins: Option<Box<CompiledPins>>,
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
    /// Compiles an app. Releases in any state may be given; which of them are candidates is the decision's business.
    pub fn compile(
        app: &App,
        mut resources: Vec<Resource>,
        mut releases: Vec<Release>,
        pins: Vec<Pin>,
    ) -> Self {
        resources.sort_by(|a, b| place_in_answer(app, a).cmp(&place_in_answer(app, b)));
        let mut builder = Builder::for_releases(releases.len());
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
            targets: builder.targets.into_table(),
            texts: builder.texts.into_all(),
            names: builder.bytes.add_names(app),
            bytes: builder.bytes.into_bytes(),
        }
    }

    /// The app's current name and its old ones.
    pub fn every_name(&self) -> impl Iterator<Item = &PackageName> {
        std::iter::once(&self.package_name).chain(&self.old_package_names)
    }

    /// The identifiers of its resources but the app itself, bytewise.
    pub fn part_identifiers(&self) -> impl Iterator<Item = &str> {
        let parts = self.resources.iter().filter(|resource| !resource.is_app);
        parts.filter_map(|resource| self.identifier_of(resource))
    }

    /// Releases that checks can be answered from.
    pub fn release_count(&self) -> usize {
        self.releases.len()
    }

    /// Asks for everything that deciding looks at.
    pub(super) fn read_ahead(&self) {
        read_ahead(&self.resources, |resource| {
            let newest = self.releases_of(resource).first();
            newest.map_or(0, |release| u32::from(release.mandatory))
        });
        self.targets.read_ahead();
        self.texts.read_ahead();
    }

    /// Bytes that are prepared for answers.
    pub fn prepared_byte_count(&self) -> usize {
        self.bytes.byte_count()
    }

    /// `None` when it is not there: then nobody knows what is installed of the resource.
    pub(super) fn identifier_of(&self, resource: &PublishedResource) -> Option<&str> {
        self.texts.get(resource.identifier)
    }

    /// A resource's releases, highest version first. None that is not there is offered.
    pub(super) fn releases_of(&self, resource: &PublishedResource) -> &[CompiledRelease] {
        resource.releases.of(&self.releases).unwrap_or_default()
    }

    pub(super) fn targets_of(&self, release: &CompiledRelease) -> Option<Targets<'_>> {
        self.targets.get(release.targets, &self.texts)
    }

    pub(super) fn prepared(&self, release: &CompiledRelease, form: Form) -> &[u8] {
        self.bytes.get(release.prepared, form)
    }

    /// The digest of a release's file, 32 lower-case hexadecimal digits.
    pub(super) fn md5_of(&self, release: &CompiledRelease) -> &[u8] {
        self.bytes.md5(release.prepared)
    }

    pub(super) fn prepared_names(&self, form: Form) -> &[u8] {
        self.bytes.get(self.names, form)
    }
}

/// Where a resource stands among its app's.
fn place_in_answer<'a>(app: &App, resource: &'a Resource) -> (bool, &'a str) {
    (!app.is_itself(&resource.identifier), resource.identifier.as_str())
}

/// What is collected of an app's releases, in the order in which it is kept.
#[derive(Default)]
struct Builder {
    releases: Vec<CompiledRelease>,
    targets: TargetsCollector,
    texts: TextCollector,
    bytes: PreparedWriter,
}

impl Builder {
    fn for_releases(count: usize) -> Self {
        Self {
            releases: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// Adds a release and returns its index.
    fn add(&mut self, app: &App, release: &Release) -> u32 {
        let content = &release.content;
        self.releases.push(CompiledRelease {
            id: release.id,
            version_code: content.version_code,
            prepared: self.bytes.add_release(app, release),
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
    fn new(app: &App, resource: &Resource, texts: &mut TextCollector) -> Self {
        Self {
            identifier: texts.add(resource.identifier.as_str()),
            is_app: app.is_itself(&resource.identifier),
            enabled: resource.enabled,
            repair_on_mismatch: resource.repair_on_mismatch,
            can_be_rolled_back: resource.kind.can_be_rolled_back(),
            has_floors: false,
            has_mandatory: false,
            has_recalled: false,
            highest_version: 0,
            releases: Span::default(),
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
