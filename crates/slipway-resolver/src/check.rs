//! Parsed check of a device. Borrows from the request wherever nothing had to be unescaped.

use std::borrow::Cow;

use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::version::VersionCode;

/// Flattened name and text of the value.
pub type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check<'a> {
    /// Package name as the device sent it; may be an old or an unknown name.
    pub package_name: &'a str,
    /// Installed version of the host app; 0 = not installed.
    pub version_code: VersionCode,
    pub device_id: &'a str,
    pub device_type: Option<&'a str>,
    pub old_versions: Installed<'a>,
    /// Org places of the device.
    pub memberships: Vec<Membership<'a>>,
    /// Sorted by name.
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        package_name: &'a str,
        version_code: VersionCode,
        device_id: &'a str,
        device_type: Option<&'a str>,
        old_versions: Installed<'a>,
        memberships: Vec<Membership<'a>>,
        mut attributes: Vec<Attribute<'a>>,
    ) -> Self {
        attributes.sort_unstable();
        Self {
            package_name,
            version_code,
            device_id,
            device_type,
            old_versions,
            memberships,
            attributes,
        }
    }

    /// Fills in the levels that devices omit (often everything above the store).
    pub fn complete_memberships(&mut self, directory: &'a OrgDirectory) {
        for membership in &mut self.memberships {
            directory.complete(membership);
        }
    }

    /// Returns the text of an attribute if it was sent.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .binary_search_by(|(own, _)| own.as_ref().cmp(name))
            .ok()
            .map(|index| self.attributes[index].1.as_ref())
    }
}

/// Resources that the device reports as installed, besides the host app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed<'a>(Vec<InstalledEntry<'a>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledEntry<'a> {
    pub identifier: Cow<'a, str>,
    pub version_code: VersionCode,
    /// As sent; never blank.
    pub md5: Option<Cow<'a, str>>,
}

impl<'a> Installed<'a> {
    /// Keeps the order of entries with the same identifier, so that the first of two digests for one version applies.
    pub fn new(mut entries: Vec<InstalledEntry<'a>>) -> Self {
        entries.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        Self(entries)
    }

    /// Returns the installed version, or [`VersionCode::NOT_INSTALLED`] if the identifier is not listed. If it is listed twice, the highest version
    /// applies.
    pub fn version_of(&self, identifier: &str) -> VersionCode {
        let versions = self.entries_of(identifier).iter().map(|entry| entry.version_code);
        versions.max().unwrap_or(VersionCode::NOT_INSTALLED)
    }

    /// Returns the digest that was sent for this version.
    pub fn md5_of(&self, identifier: &str, version: VersionCode) -> Option<&str> {
        self.entries_of(identifier)
            .iter()
            .filter(|entry| entry.version_code == version)
            .find_map(|entry| entry.md5.as_deref())
    }

    fn entries_of(&self, identifier: &str) -> &[InstalledEntry<'a>] {
        let start = self
            .0
            .partition_point(|entry| entry.identifier.as_ref() < identifier);
        let length = self.0[start..].partition_point(|entry| entry.identifier == identifier);
        &self.0[start..start + length]
    }
}
