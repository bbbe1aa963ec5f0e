//! Devices: the stored state of each, and the observations from checks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::field::Invalid;
use super::ids::{AppId, TenantId};
use super::install::InstallFilter;
use super::membership::Membership;
use super::org::{Level, LevelCodes, OrgCode, OrgDirectory, OrgScope};
use super::text::{DeviceId, DeviceType, Identifier, PackageName, ProjectId};
use super::version::VersionCode;

/// Maximum number of org places of a device.
pub const MAX_MEMBERSHIPS: usize = 8;
/// Maximum number of devices in one import.
pub const MAX_IMPORTED_DEVICES: usize = 100_000;

/// Device as stored for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    /// `None` until an import or enrolment sets it.
    pub project: Option<ProjectId>,
    pub device_type: Option<DeviceType>,
    /// `None` while unknown.
    pub org_info: Option<OrgInfo>,
}

/// Source from which a device became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSource {
    /// The device's own check or enrolment.
    Check,
    Import,
}

impl DeviceSource {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Import => "import",
        }
    }
}

/// Attributes that a device reports: flattened names, and values as text.
pub type DeviceAttributes = BTreeMap<String, String>;

/// Device as it enrols. `None` leaves the stored value unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEnrolment {
    pub id: DeviceId,
    pub project: ProjectId,
    pub device_type: Option<DeviceType>,
    pub org_info: Option<OrgInfo>,
    pub attributes: Option<DeviceAttributes>,
}

/// Org places of a device, at most [`MAX_MEMBERSHIPS`]. The JSON form is a list of objects of level codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OrgScope>")]
pub struct OrgInfo(Vec<OrgScope>);

impl OrgInfo {
    pub fn new(memberships: Vec<OrgScope>) -> Result<Self, Invalid> {
        if memberships.len() > MAX_MEMBERSHIPS {
            return Err(Invalid::new(format!(
                "must list at most {MAX_MEMBERSHIPS} memberships, not {}",
                memberships.len()
            )));
        }
        Ok(Self(memberships))
    }

    /// Returns the places sent with a check. Codes that no org node can have are omitted, because a device may send
    /// anything. Returns `None` if nothing is left.
    pub fn of_check(memberships: &[Membership<'_>]) -> Option<Self> {
        let readable = memberships.iter().map(readable_codes);
        let named: Vec<_> = readable.filter_map(|codes| OrgScope::new(codes).ok()).collect();
        (!named.is_empty()).then_some(Self(named))
    }

    pub fn memberships(&self) -> &[OrgScope] {
        &self.0
    }

    /// Fills in the levels missing from the places, as for a check.
    #[must_use]
    pub fn completed(self, directory: &OrgDirectory) -> Self {
        let completed = self
            .0
            .into_iter()
            .map(|membership| membership.completed(directory));
        Self(completed.collect())
    }
}

impl TryFrom<Vec<OrgScope>> for OrgInfo {
    type Error = Invalid;

    fn try_from(memberships: Vec<OrgScope>) -> Result<Self, Invalid> {
        Self::new(memberships)
    }
}

fn readable_codes(sent: &Membership<'_>) -> LevelCodes {
    let mut codes = LevelCodes::default();
    for level in Level::all() {
        if let Some(code) = sent.get(level).and_then(|code| OrgCode::parse(code).ok()) {
            codes.set(level, code.as_str());
        }
    }
    codes
}

/// Device as observed in one check. `None` leaves the stored value unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub device_type: Option<DeviceType>,
    pub org_info: Option<OrgInfo>,
    pub seen_at: DateTime<Utc>,
    /// Network of the device, as far as the server can determine it.
    pub network: Option<IpAddr>,
    /// `None` if the tenant has no such app.
    pub app: Option<InstalledApp>,
}

/// App on a device, with all of its resources that are installed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledApp {
    pub id: AppId,
    /// Current package name of the app.
    pub package_name: PackageName,
    /// Each identifier once; versions are above 0.
    pub versions: Vec<(Identifier, VersionCode)>,
}

/// Filter for a list of a tenant's devices. An absent field matches every device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter<'a> {
    pub project: Option<&'a ProjectId>,
    pub device_type: Option<&'a DeviceType>,
    /// Codes from l1 down. Matches devices at or below this org node.
    pub org: Option<&'a OrgScope>,
    pub install: Option<InstallFilter<'a>>,
    /// `true` for devices connected to a running node; `false` for devices connected to no running node.
    pub is_connected: Option<bool>,
}
