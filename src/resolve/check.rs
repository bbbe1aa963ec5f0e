//! What a device asks, once it is read.

use crate::catalog::org::{LevelCodes, OrgDirectory};
use crate::catalog::version::VersionCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name the device asks under; perhaps an old one, perhaps unknown.
    pub package_name: String,
    /// The installed version of the host app; 0 is not installed.
    pub version_code: VersionCode,
    pub device_id: String,
    pub device_type: Option<String>,
    pub old_versions: Installed,
    /// The places the device belongs to.
    pub memberships: Vec<LevelCodes>,
    /// Flattened names and the texts of their values, by name.
    attributes: Vec<(String, String)>,
}

impl Check {
    pub(super) fn new(
        package_name: String,
        version_code: VersionCode,
        device_id: String,
        device_type: Option<String>,
        read: (Installed, Vec<LevelCodes>, Vec<(String, String)>),
    ) -> Self {
        let (old_versions, memberships, mut attributes) = read;
        attributes.sort();
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
    pub fn complete_memberships(&mut self, directory: &OrgDirectory) {
        for membership in &mut self.memberships {
            directory.complete(membership);
        }
    }

    /// The text of an attribute, if it was sent.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .binary_search_by(|(own, _)| own.as_str().cmp(name))
            .ok()
            .map(|index| self.attributes[index].1.as_str())
    }
}

/// What a device says is installed beside the host app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed(Vec<InstalledEntry>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledEntry {
    pub identifier: String,
    pub version_code: VersionCode,
    /// As sent; never blank.
    pub md5: Option<String>,
}

impl Installed {
    /// Keeps the order of entries with the same identifier: of two digests for one version the first counts.
    pub fn new(mut entries: Vec<InstalledEntry>) -> Self {
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

    fn entries_of(&self, identifier: &str) -> &[InstalledEntry] {
        let start = self
            .0
            .partition_point(|entry| entry.identifier.as_str() < identifier);
        let length = self.0[start..].partition_point(|entry| entry.identifier == identifier);
        &self.0[start..start + length]
    }
}
