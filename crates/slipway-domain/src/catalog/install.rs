//! Resources installed on devices.

use chrono::{DateTime, Utc};

use super::ids::AppId;
use super::text::{DeviceId, Identifier, PackageName};
use super::version::VersionCode;

/// Resource installed on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    pub device: DeviceId,
    /// App that has the package name, or had it until the app was deleted.
    pub app: Option<AppId>,
    pub package_name: PackageName,
    pub identifier: Identifier,
    pub version_code: VersionCode,
    /// Time of the first check that reported the install on that day, or of the last check that changed it.
    pub seen_at: DateTime<Utc>,
}

impl Install {
    /// Returns what identifies the install in its tenant.
    pub fn key(&self) -> (&DeviceId, &PackageName, &Identifier) {
        (&self.device, &self.package_name, &self.identifier)
    }
}

/// Filter for devices with an app, a resource or a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFilter<'a> {
    pub package_name: &'a PackageName,
    pub identifier: Option<&'a Identifier>,
    pub version_code: Option<VersionCode>,
}

/// Number of devices with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCount {
    pub identifier: Identifier,
    pub version_code: VersionCode,
    pub devices: u64,
}
