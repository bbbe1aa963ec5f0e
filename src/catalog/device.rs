//! Devices: what a tenant knows of each, and what one check told of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::field::Invalid;
use super::ids::{AppId, TenantId};
use super::membership::Membership;
use super::org::{Level, LevelCodes, OrgCode, OrgDirectory, OrgScope};
use super::text::{DeviceId, DeviceType, Identifier, PackageName, ProjectId};
use super::version::VersionCode;

/// The most places a device may belong to.
pub const MAX_MEMBERSHIPS: usize = 8;
/// The most devices that one import may bring.
pub const MAX_IMPORTED_DEVICES: usize = 100_000;

/// A device as a tenant knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    /// `None` until an import or enrolment gives one.
    pub project: Option<ProjectId>,
    pub device_type: Option<DeviceType>,
    /// `None` while nothing is known.
    pub org_info: Option<OrgInfo>,
}

/// What a device says of itself: flattened names, and values as text.
pub type DeviceAttributes = BTreeMap<String, String>;

/// A device as it enrols. What it leaves out is `None` and leaves what was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollingDevice {
    pub id: DeviceId,
    pub project: ProjectId,
    pub device_type: Option<DeviceType>,
    pub org_info: Option<OrgInfo>,
    pub attributes: Option<DeviceAttributes>,
}

/// The places a device belongs to, at most [`MAX_MEMBERSHIPS`]. As JSON a list of objects of level codes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
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

    /// What a check told. Codes that no org node can have are left out, since a device may send anything; `None` when
    /// nothing is left.
    pub fn of_check(memberships: &[Membership<'_>]) -> Option<Self> {
        let readable = memberships.iter().map(readable_codes);
        let named: Vec<_> = readable.filter_map(|codes| OrgScope::new(codes).ok()).collect();
        (!named.is_empty()).then_some(Self(named))
    }

    pub fn memberships(&self) -> &[OrgScope] {
        &self.0
    }

    /// Fills in what is left out of the places, as a check's are filled in.
    #[must_use]
    pub fn completed(self, directory: &OrgDirectory) -> Self {
        let completed = self
            .0
            .into_iter()
            .map(|membership| membership.completed(directory));
        Self(completed.collect())
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

/// What one check told of a device. What it left out is `None` and leaves what was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub device_type: Option<DeviceType>,
    pub org_info: Option<OrgInfo>,
    pub seen_at: DateTime<Utc>,
    /// The network that the device is in, as far as the server can tell.
    pub network: Option<IpAddr>,
    /// `None` when the tenant has no such app.
    pub app: Option<InstalledApp>,
}

/// An app on a device with all of its resources that are installed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledApp {
    pub id: AppId,
    /// The app's current name.
    pub package_name: PackageName,
    /// Each identifier once; versions are above 0.
    pub versions: Vec<(Identifier, VersionCode)>,
}
