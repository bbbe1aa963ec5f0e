//! Published app: its names and its parts. A change of a resource compiles one part; the others are shared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compile::compile_parts;
use super::error::LayoutError;
use super::list_ref;
use super::part::{AppPart, Position};
use super::parts::Parts;
use super::prepare::OfferEncoders;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::pin::Pin;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::text::{Identifier, PackageName};

/// App with all data that a check may need.
#[derive(Debug, Serialize, Deserialize)]
pub struct PublishedApp {
    pub id: AppId,
    pub package_name: PackageName,
    pub old_package_names: Box<[PackageName]>,
    pub(crate) parts: Parts,
}

/// Serialized form of an app relative to an earlier state: the parts that it does not share.
#[derive(Debug, Serialize)]
pub struct AppChangeRef<'a> {
    id: AppId,
    package_name: &'a PackageName,
    old_package_names: &'a [PackageName],
    parts: Vec<PartChangeRef<'a>>,
}

#[derive(Debug, Serialize)]
enum PartChangeRef<'a> {
    /// Part with this index of the earlier state.
    Shared(u32),
    Own(&'a AppPart),
}

/// Deserialized form of [`AppChangeRef`], with the same fields in the same order.
#[derive(Debug, Deserialize)]
pub struct AppChange {
    id: AppId,
    package_name: PackageName,
    old_package_names: Box<[PackageName]>,
    parts: Vec<PartChange>,
}

#[derive(Debug, Deserialize)]
enum PartChange {
    Shared(u32),
    Own(Box<AppPart>),
}

impl PublishedApp {
    /// Compiles an app from releases in any state. The candidates among them are selected for each check. Fails if the
    /// app is too large.
    pub fn compile(
        app: &App,
        resources: Vec<Resource>,
        releases: Vec<Release>,
        pins: Vec<Pin>,
        encoders: &OfferEncoders,
    ) -> Result<Self, LayoutError> {
        let parts = compile_parts(app, resources, releases, pins, encoders)?;
        Ok(Self::with_parts(app, Parts::of(parts)?))
    }

    fn with_parts(app: &App, parts: Parts) -> Self {
        Self {
            id: app.id,
            package_name: app.package_name.clone(),
            old_package_names: app.old_package_names.clone().into(),
            parts,
        }
    }

    /// Compiles these parts again, and shares the others. `resources`, `releases` and `pins` are all those of the parts.
    /// The app must be unchanged.
    pub fn with_compiled_parts(
        &self,
        app: &App,
        changed: &PartSelection,
        rows: (Vec<Resource>, Vec<Release>, Vec<Pin>),
        encoders: &OfferEncoders,
    ) -> Result<Self, LayoutError> {
        let (mut resources, mut releases, mut pins) = rows;
        let mut parts = Vec::with_capacity(self.parts.len());
        for index in 0..self.parts.len() {
            if changed.contains(index) {
                let is_own = |identifier: &Identifier| self.part_of(identifier) == index;
                let own_resources = resources
                    .extract_if(.., |resource| is_own(&resource.identifier))
                    .collect();
                let own_releases = releases
                    .extract_if(.., |release| is_own(&release.identifier))
                    .collect();
                let own_pins = pins.extract_if(.., |pin| is_own(&pin.identifier)).collect();
                let compiled = compile_parts(app, own_resources, own_releases, own_pins, encoders)?;
                parts.extend(compiled.into_iter().map(Arc::new));
            } else {
                parts.push(
                    self.parts
                        .share(index)
                        .ok_or(LayoutError::InvalidReference("parts"))?,
                );
            }
        }
        Ok(Self::with_parts(app, Parts::of_shared(parts)?))
    }

    /// Returns the parts that have these resources, or would have them.
    pub fn parts_of<'a>(&self, identifiers: impl IntoIterator<Item = &'a Identifier>) -> PartSelection {
        let mut indexes: Vec<_> = identifiers
            .into_iter()
            .map(|identifier| self.part_of(identifier))
            .collect();
        indexes.sort_unstable();
        indexes.dedup();
        PartSelection(indexes)
    }

    fn part_of(&self, identifier: &Identifier) -> usize {
        let position = Position::new(
            identifier.as_str() == self.package_name.as_str(),
            identifier.as_str(),
        );
        self.parts.index_of(position)
    }

    /// Returns the identifiers of the resources of these parts.
    pub fn identifiers_in(&self, selection: &PartSelection) -> impl Iterator<Item = &str> {
        let parts = self.parts.iter().enumerate();
        parts
            .filter(|(index, _)| selection.contains(*index))
            .flat_map(|(_, part)| part.resources.iter().map(|resource| part.identifier_of(resource)))
    }

    /// Returns the serializable difference from an earlier state of the app.
    pub fn change_since(&self, before: Option<&Self>) -> AppChangeRef<'_> {
        let shareable = before.map(|before| before.parts.shareable()).unwrap_or_default();
        let parts = self
            .parts
            .iter()
            .map(|part| match shareable.get(&std::ptr::from_ref(part)) {
                Some(index) => PartChangeRef::Shared(list_ref::index(*index)),
                None => PartChangeRef::Own(part),
            });
        AppChangeRef {
            id: self.id,
            package_name: &self.package_name,
            old_package_names: &self.old_package_names,
            parts: parts.collect(),
        }
    }

    /// Returns the app's current name and its old ones.
    pub fn every_name(&self) -> impl Iterator<Item = &PackageName> {
        std::iter::once(&self.package_name).chain(&self.old_package_names)
    }

    /// Returns the identifiers of all resources except the app itself, in bytewise order.
    pub fn part_identifiers(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| {
            let modules = part.resources.iter().filter(|resource| !resource.is_app);
            modules.map(|resource| part.identifier_of(resource))
        })
    }

    /// Returns the identifiers that begin with a text, of all resources except the app itself, in bytewise order. Reads no
    /// others.
    pub fn part_identifiers_with(&self, beginning: &str) -> impl Iterator<Item = &str> {
        let start = Position::new(false, beginning);
        let parts = self.parts.iter().skip(self.parts.index_of(start));
        let identifiers = parts.flat_map(move |part| part.identifiers_from(start));
        identifiers.take_while(move |identifier| identifier.starts_with(beginning))
    }

    /// Returns the number of releases from which checks can be answered.
    pub fn release_count(&self) -> usize {
        self.parts.iter().map(AppPart::release_count).sum()
    }

    /// Returns the ids of the releases from which checks can be answered.
    pub fn release_ids(&self) -> impl Iterator<Item = ReleaseId> {
        self.parts.iter().flat_map(AppPart::release_ids)
    }

    /// Returns the id of the release with this index; `None` if there are fewer.
    pub fn release_id_at(&self, mut index: usize) -> Option<ReleaseId> {
        for part in self.parts.iter() {
            match part.releases.get(index) {
                Some(release) => return Some(release.id),
                None => index -= part.releases.len(),
            }
        }
        None
    }

    /// Returns the number of bytes prepared for answers.
    pub fn prepared_byte_count(&self) -> usize {
        self.parts.iter().map(AppPart::prepared_byte_count).sum()
    }
}

impl AppChange {
    /// Returns the app, given the earlier state that the change refers to.
    pub fn apply(self, before: Option<&PublishedApp>) -> Result<PublishedApp, LayoutError> {
        let parts = self.parts.into_iter().map(|part| match part {
            PartChange::Own(part) => Ok(Arc::from(part)),
            PartChange::Shared(index) => before
                .and_then(|before| before.parts.share(index as usize))
                .ok_or(LayoutError::InvalidReference("parts")),
        });
        let parts = Parts::of_shared(parts.collect::<Result<_, _>>()?)?;
        Ok(PublishedApp {
            id: self.id,
            package_name: self.package_name,
            old_package_names: self.old_package_names,
            parts,
        })
    }
}

/// Some parts of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSelection(Vec<usize>);

impl PartSelection {
    fn contains(&self, index: usize) -> bool {
        self.0.binary_search(&index).is_ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
