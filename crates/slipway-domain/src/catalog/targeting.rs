//! Targeting: the devices that a release applies to.

use serde::{Deserialize, Serialize};

use super::attribute::AttributeRule;
use super::field::FieldError;
use super::org::OrgScope;
use super::text::{DeviceId, DeviceType};
use super::version::VersionCode;

pub const MAX_ORG_SCOPES: usize = 1_000;
pub const MAX_ORG_EXCLUSIONS: usize = 1_000;
pub const MAX_DEVICE_TYPES: usize = 100;
pub const MAX_ATTRIBUTE_RULES: usize = 50;
pub const MAX_DEVICE_IDS: usize = 10_000;

/// Conditions on the devices of a release, except its rollout and time window. Empty means everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Targeting {
    pub org_scopes: Vec<OrgScope>,
    pub org_exclusions: Vec<OrgScope>,
    pub device_types: Vec<DeviceType>,
    /// Minimum version of the host app, inclusive.
    pub host_version_min: Option<VersionCode>,
    /// Maximum version of the host app, inclusive.
    pub host_version_max: Option<VersionCode>,
    pub attribute_rules: Vec<AttributeRule>,
    /// Allow-list: these devices pass the rollout regardless of its share.
    pub device_ids: Vec<DeviceId>,
}

impl Targeting {
    /// Returns `true` if it excludes no device and lists none.
    pub fn is_for_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the limits of the lists and the order of the bounds.
    pub fn check(&self) -> Vec<FieldError> {
        let lists = [
            ("org_scopes", self.org_scopes.len(), MAX_ORG_SCOPES),
            ("org_exclusions", self.org_exclusions.len(), MAX_ORG_EXCLUSIONS),
            ("device_types", self.device_types.len(), MAX_DEVICE_TYPES),
            ("attribute_rules", self.attribute_rules.len(), MAX_ATTRIBUTE_RULES),
            ("device_ids", self.device_ids.len(), MAX_DEVICE_IDS),
        ];
        let mut errors: Vec<_> = lists
            .into_iter()
            .filter(|(_, length, max)| length > max)
            .map(|(field, length, max)| {
                FieldError::invalid(field, format!("must hold at most {max} entries, not {length}"))
            })
            .collect();
        if let (Some(min), Some(max)) = (self.host_version_min, self.host_version_max)
            && min > max
        {
            errors.push(FieldError::invalid(
                "host_version_max",
                format!("must not be below host_version_min ({min})"),
            ));
        }
        errors
    }
}
