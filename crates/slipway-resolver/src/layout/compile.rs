//! Layout of the parts of an app from its domain types.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::digest::Md5Digest;
use super::error::LayoutError;
use super::list_ref::{ListRef, addressable, index};
use super::part::{AppPart, CompiledPin, CompiledRelease, Position, PublishedResource};
use super::prepare::{OfferEncoders, PreparedWriter};
use super::string_pool::StringPoolBuilder;
use super::targets::TargetsBuilder;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::org::{LevelCodes, OrgCode};
use slipway_domain::catalog::pin::{Pin, PinTarget};
use slipway_domain::catalog::release::{Release, ReleaseState};
use slipway_domain::catalog::version::VersionCode;

/// Size from which a part is closed before the next resource, in releases and resources without any. A change of one
/// resource compiles one part again, and a smaller app has a single part.
const PART_SIZE: usize = 128;

/// Resource with everything that is compiled of it.
struct ResourceContent {
    resource: Resource,
    releases: Vec<Release>,
    pins: Vec<Pin>,
}

/// Compiles parts of an app from releases in any state. The candidates among them are selected for each check. Fails if
/// the app is too large. There is always one part at least.
pub(super) fn compile_parts(
    app: &App,
    resources: Vec<Resource>,
    releases: Vec<Release>,
    pins: Vec<Pin>,
    encoders: &OfferEncoders,
) -> Result<Vec<AppPart>, LayoutError> {
    let mut parts = Vec::new();
    let mut next: Vec<ResourceContent> = Vec::new();
    let mut size = 0;
    for content in group(app, resources, releases, pins) {
        if size >= PART_SIZE {
            parts.push(AppPart::compile(app, std::mem::take(&mut next), encoders)?);
            size = 0;
        }
        size += content.releases.len().max(1);
        next.push(content);
    }
    if !next.is_empty() || parts.is_empty() {
        parts.push(AppPart::compile(app, next, encoders)?);
    }
    Ok(parts)
}

/// Groups rows by resource, in the order of an answer. Rows without a resource are left out.
fn group(
    app: &App,
    resources: Vec<Resource>,
    releases: Vec<Release>,
    pins: Vec<Pin>,
) -> Vec<ResourceContent> {
    let mut grouped: Vec<_> = resources
        .into_iter()
        .map(|resource| ResourceContent {
            resource,
            releases: Vec::new(),
            pins: Vec::new(),
        })
        .collect();
    grouped.sort_by(|a, b| position(app, &a.resource).cmp(&position(app, &b.resource)));
    let indexes: HashMap<String, usize> = grouped
        .iter()
        .enumerate()
        .map(|(index, content)| (content.resource.identifier.as_str().to_owned(), index))
        .collect();
    for pin in pins {
        if let Some(index) = indexes.get(pin.identifier.as_str()) {
            grouped[*index].pins.push(pin);
        }
    }
    for release in releases {
        if let Some(index) = indexes.get(release.identifier.as_str()) {
            grouped[*index].releases.push(release);
        }
    }
    for content in &mut grouped {
        content
            .releases
            .sort_by_key(|release| Reverse((release.content.version_code, release.id)));
    }
    grouped
}

impl AppPart {
    fn compile(
        app: &App,
        contents: Vec<ResourceContent>,
        encoders: &OfferEncoders,
    ) -> Result<Self, LayoutError> {
        let release_count = contents.iter().map(|content| content.releases.len()).sum();
        let mut builder = Builder::new(release_count, encoders);
        let mut compiled: Vec<_> = contents
            .iter()
            .map(|content| PublishedResource::new(app, &content.resource, &mut builder.texts))
            .collect();
        for (resource, content) in compiled.iter_mut().zip(contents) {
            for pin in content.pins {
                resource.add_pin(pin);
            }
            for release in &content.releases {
                let index = builder.add(app, release)?;
                resource.add_release(index, release);
            }
            if resource.repair_on_mismatch {
                resource.md5s = builder.add_md5s(&content.releases)?;
            }
        }
        Ok(Self {
            enabled: app.enabled,
            resources: compiled.into(),
            releases: addressable(builder.releases, "releases")?,
            md5s: addressable(builder.md5s, "MD5s")?,
            targets: builder.targets.into_table()?,
            texts: builder.texts.into_pool()?,
            prepared: builder.bytes.add_app(app),
            bytes: builder.bytes.into_bytes()?,
        })
    }
}

fn position<'a>(app: &App, resource: &'a Resource) -> Position<'a> {
    Position::new(app.is_itself(&resource.identifier), resource.identifier.as_str())
}

/// Parts of an app's releases, collected in storage order.
struct Builder<'a> {
    releases: Vec<CompiledRelease>,
    md5s: Vec<Md5Digest>,
    targets: TargetsBuilder,
    texts: StringPoolBuilder,
    bytes: PreparedWriter<'a>,
}

impl<'a> Builder<'a> {
    fn new(release_count: usize, encoders: &'a OfferEncoders) -> Self {
        Self {
            releases: Vec::with_capacity(release_count),
            md5s: Vec::new(),
            targets: TargetsBuilder::default(),
            texts: StringPoolBuilder::default(),
            bytes: PreparedWriter::new(encoders),
        }
    }

    /// Adds a release and returns its index.
    fn add(&mut self, app: &App, release: &Release) -> Result<u32, LayoutError> {
        let content = &release.content;
        self.releases.push(CompiledRelease {
            id: release.id,
            version_code: content.version_code,
            prepared: self.bytes.add_release(app, release),
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

    /// Adds the digests of a resource's releases, in their order.
    fn add_md5s(&mut self, releases: &[Release]) -> Result<ListRef, LayoutError> {
        let digests = releases
            .iter()
            .map(|release| Md5Digest::parse(release.content.file.md5.as_str()));
        let digests: Option<Vec<_>> = digests.collect();
        let digests = digests.ok_or(LayoutError::InvalidReference("MD5s"))?;
        Ok(ListRef::append(&mut self.md5s, digests))
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
            md5s: ListRef::EMPTY,
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
