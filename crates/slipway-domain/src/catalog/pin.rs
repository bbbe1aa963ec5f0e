//! Pins, which hold devices back or restrict them to certain versions.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::device::OrgInfo;
use super::field::Invalid;
use super::ids::{AppId, PinId};
use super::org::OrgCode;
use super::text::{DeviceId, Identifier, Reason};
use super::version::VersionCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub id: PinId,
    pub app_id: AppId,
    pub identifier: Identifier,
    pub target: PinTarget,
    pub mode: PinMode,
    pub reason: Reason,
    /// Time from which the pin no longer applies.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Devices that a pin applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinTarget {
    Device(DeviceId),
    /// The org node with these codes from l1 down, and everything below it.
    OrgNode(Vec<OrgCode>),
}

impl PinTarget {
    /// Returns the targets whose pins apply to a device: the device, then the org nodes that it belongs to, the deepest
    /// first. That is the order of precedence.
    pub fn all_of(device: &DeviceId, org: Option<&OrgInfo>) -> Vec<Self> {
        let places = org.map(OrgInfo::memberships).unwrap_or_default();
        let paths = places.iter().map(|place| place.codes().path());
        let nodes: BTreeSet<_> = paths
            .flat_map(|path| (1..=path.len()).map(move |depth| path[..depth].to_vec()))
            .collect();
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_by_key(|path| Reverse(path.len()));
        let nodes = nodes.into_iter().map(Self::OrgNode);
        std::iter::once(Self::Device(device.clone()))
            .chain(nodes)
            .collect()
    }

    /// Returns a distinct text for each target, so that a database can enforce uniqueness.
    pub fn key(&self) -> String {
        match self {
            Self::Device(id) => format!("d:{id}"),
            Self::OrgNode(path) => {
                let codes: Vec<_> = path.iter().map(OrgCode::as_str).collect();
                // Codes contain no control characters, so the separator cannot occur in one.
                format!("o:{}", codes.join("\u{1f}"))
            }
        }
    }
}

/// Versions that a pin allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinMode {
    /// No version.
    Hold,
    /// Only this version.
    Exact(VersionCode),
    /// Only versions up to this one.
    Ceiling(VersionCode),
}

impl PinMode {
    pub const NAMES: [&'static str; 3] = ["hold", "exact", "ceiling"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Exact(_) => "exact",
            Self::Ceiling(_) => "ceiling",
        }
    }

    pub const fn version_code(self) -> Option<VersionCode> {
        match self {
            Self::Hold => None,
            Self::Exact(version) | Self::Ceiling(version) => Some(version),
        }
    }

    /// Builds a mode from its name and version. `exact` and `ceiling` require a version; `hold` must not have one.
    pub fn parse(name: &str, version: Option<VersionCode>) -> Result<Self, PinModeError> {
        match (name, version) {
            ("hold", None) => Ok(Self::Hold),
            ("hold", Some(_)) => Err(PinModeError::Version(Invalid::new(
                "must be left out when mode is hold",
            ))),
            ("exact" | "ceiling", None) => Err(PinModeError::VersionMissing),
            ("exact", Some(version)) => Ok(Self::Exact(version)),
            ("ceiling", Some(version)) => Ok(Self::Ceiling(version)),
            _ => Err(PinModeError::Mode(Invalid::new(
                "must be one of hold, exact, ceiling",
            ))),
        }
    }

    pub const fn allows(self, version: VersionCode) -> bool {
        match self {
            Self::Hold => false,
            Self::Exact(only) => version.get() == only.get(),
            Self::Ceiling(highest) => version.get() <= highest.get(),
        }
    }

    /// Returns a sort key; smaller is stricter. `hold` comes first, then the lowest version, then `exact` before
    /// `ceiling`.
    pub const fn strictness(self) -> (VersionCode, u8) {
        match self {
            Self::Hold => (VersionCode::NOT_INSTALLED, 0),
            Self::Exact(version) => (version, 1),
            Self::Ceiling(version) => (version, 2),
        }
    }
}

/// Invalid part of a pin's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinModeError {
    Mode(Invalid),
    Version(Invalid),
    VersionMissing,
}

impl PinModeError {
    /// Returns the reason without the field that it concerns.
    pub fn into_reason(self) -> Invalid {
        match self {
            Self::Mode(reason) | Self::Version(reason) => reason,
            Self::VersionMissing => Invalid::new("has no version_code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_a_device_are_in_the_order_of_precedence() {
        let org =
            r#"[{"l1Code":"HM","l2Code":"SH","l3Code":"7"},{"l1Code":"HM","l2Code":"BJ"},{"l3Code":"9"}]"#;
        let org: OrgInfo = serde_json::from_str(org).unwrap();
        let device = DeviceId::parse("PDA001").unwrap();
        let keys: Vec<_> = PinTarget::all_of(&device, Some(&org))
            .iter()
            .map(|target| target.key().replace('\u{1f}', "/"))
            .collect();
        // Without its ancestors, a place is in no node.
        assert_eq!(keys, ["d:PDA001", "o:HM/SH/7", "o:HM/BJ", "o:HM/SH", "o:HM"]);
        assert_eq!(PinTarget::all_of(&device, None), [PinTarget::Device(device)]);
    }
}
