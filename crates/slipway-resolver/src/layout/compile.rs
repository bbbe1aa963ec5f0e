//! Layout of an app from its domain types.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::app::{CompiledPin, CompiledRelease, PublishedApp, PublishedResource};
use super::error::LayoutError;
use super::list_ref::{ListRef, addressable, index};
use super::prepare::{OfferEncoders, PreparedWriter};
use super::string_pool::{StringPoolBuilder, StringRef};
use super::targets::TargetsBuilder;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::org::{LevelCodes, OrgCode};
use slipway_domain::catalog::pin::{Pin, PinTarget};
use slipway_domain::catalog::release::{Release, ReleaseState};
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

impl PublishedApp {
    /// Compiles an app from releases in any state. The candidates among them are selected for each check. Fails if the
    /// app is too large.
    pub fn compile(
        app: &App,
        mut resources: Vec<Resource>,
        mut releases: Vec<Release>,
        pins: Vec<Pin>,
        encoders: &OfferEncoders,
    ) -> Result<Self, LayoutError> {
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
            let newest_first = Reverse((release.content.version_code, release.id));
            (position_of(&release.identifier), newest_first)
        });
        for release in &releases {
            if let Some(position) = position_of(&release.identifier) {
                let resource = &mut compiled[position];
                let index = builder.add(app, resource, release)?;
                resource.add_release(index, release);
            }
        }
        Ok(Self {
            id: app.id,
            package_name: app.package_name.clone(),
            old_package_names: app.old_package_names.clone().into(),
            enabled: app.enabled,
            resources: compiled.into(),
            releases: addressable(builder.releases, "releases")?,
            targets: builder.targets.into_table()?,
            texts: builder.texts.into_pool()?,
            prepared: builder.bytes.add_app(app),
            bytes: builder.bytes.into_bytes(),
        })
    }
}

/// Returns the sort key of a resource within its app.
fn sort_key<'a>(app: &App, resource: &'a Resource) -> (bool, &'a str) {
    (!app.is_itself(&resource.identifier), resource.identifier.as_str())
}

/// Parts of an app's releases, collected in storage order.
struct Builder<'a> {
    releases: Vec<CompiledRelease>,
    targets: TargetsBuilder,
    texts: StringPoolBuilder,
    bytes: PreparedWriter<'a>,
}

impl<'a> Builder<'a> {
    fn new(release_count: usize, encoders: &'a OfferEncoders) -> Self {
        Self {
            releases: Vec::with_capacity(release_count),
            targets: TargetsBuilder::default(),
            texts: StringPoolBuilder::default(),
            bytes: PreparedWriter::new(encoders),
        }
    }

    /// Adds a release and returns its index.
    fn add(
        &mut self,
        app: &App,
        resource: &PublishedResource,
        release: &Release,
    ) -> Result<u32, LayoutError> {
        let content = &release.content;
        let md5 = if resource.repair_on_mismatch {
            self.texts.add(content.file.md5.as_str())
        } else {
            StringRef::EMPTY
        };
        self.releases.push(CompiledRelease {
            id: release.id,
            version_code: content.version_code,
            prepared: self.bytes.add_release(app, release),
            md5,
            targets: self.targets.add(content, &mut self.texts)?,
            share: content.rollout.share,
            unit: content.rollout.unit,
            state: release.state,
            auto_install: content.auto_install,
            mandatory: content.mandatory,
            floor: content.floor,
            min_sdk: content.file.min_sdk,
            file_unavailable: release.is_file_unavailable(),
        });
        Ok(index(self.releases.len() - 1))
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
            releases: ListRef::EMPTY,
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
