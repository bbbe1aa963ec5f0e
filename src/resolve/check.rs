//! What a device asks, once it is read. Borrows from the request wherever nothing had to be unescaped.

use std::borrow::Cow;

use crate::catalog::membership::Membership;
use crate::catalog::org::OrgDirectory;
use crate::catalog::version::VersionCode;

/// A flattened name and the text of its value.
pub type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check<'a> {
    /// The name the device asks under; perhaps an old one, perhaps unknown.
    pub package_name: &'a str,
    /// The installed version of the host app; 0 is not installed.
    pub version_code: VersionCode,
    pub device_id: &'a str,
    pub device_type: Option<&'a str>,
    pub old_versions: Installed<'a>,
    /// The places the device belongs to.
    pub memberships: Vec<Membership<'a>>,
    /// By name.
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        package_name: &'a str,
        version_code: VersionCode,
        device_id: &'a str,
        device_type: Option<&'a str>,
        read: (Installed<'a>, Vec<Membership<'a>>, Vec<Attribute<'a>>),
    ) -> Self {
        let (old_versions, memberships, mut attributes) = read;
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

    /// Fills in what devices leave out of their place (often everything above the store).
    pub fn complete_memberships(&mut self, directory: &'a OrgDirectory) {
        for membership in &mut self.memberships {
            directory.complete(membership);
        }
    }

    /// The text of an attribute, if it was sent.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .binary_search_by(|(own, _)| own.as_ref().cmp(name))
            .ok()
            .map(|index| self.attributes[index].1.as_ref())
    }
}

/// What a device says is installed beside the host app.
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
    /// Keeps the order of entries with the same identifier: of two digests for one version the first counts.
    pub fn new(mut entries: Vec<InstalledEntry<'a>>) -> Self {
        entries.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        Self(entries)
    }

    /// The installed version, 0 when the identifier is not listed. Listed twice: the highest.
    pub fn version_of(&self, identifier: &str) -> VersionCode {
        let versions = self.entries_of(identifier).iter().map(|entry| entry.version_code);
        versions.max().unwrap_or(0)
    }

    /// The digest that was sent for this version.
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
