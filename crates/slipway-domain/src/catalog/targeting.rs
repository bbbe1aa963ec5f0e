//! Targeting: the devices that a release applies to.

use super::field::FieldError;
pub use super::release_content::Targeting;

pub const MAX_ORG_SCOPES: usize = 1_000;
pub const MAX_ORG_EXCLUSIONS: usize = 1_000;
pub const MAX_DEVICE_TYPES: usize = 100;
pub const MAX_ATTRIBUTE_RULES: usize = 50;
pub const MAX_DEVICE_IDS: usize = 10_000;

impl Targeting {
    /// Returns `true` if it excludes no device and lists none.
    pub fn is_for_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the limits of the lists and the order of the bounds.
    pub fn check(&self) -> Vec<FieldError> {
        let Self {
            org_scopes,
            org_exclusions,
            device_types,
            host_version_min,
            host_version_max,
            attribute_rules,
            device_ids,
        } = self;
        let lists = [
            ("org_scopes", org_scopes.len(), MAX_ORG_SCOPES),
            ("org_exclusions", org_exclusions.len(), MAX_ORG_EXCLUSIONS),
            ("device_types", device_types.len(), MAX_DEVICE_TYPES),
            ("attribute_rules", attribute_rules.len(), MAX_ATTRIBUTE_RULES),
            ("device_ids", device_ids.len(), MAX_DEVICE_IDS),
        ];
        let mut errors: Vec<_> = lists
            .into_iter()
            .filter(|(_, length, max)| length > max)
            .map(|(field, length, max)| {
                FieldError::invalid(field, format!("must hold at most {max} entries, not {length}"))
            })
            .collect();
        if let (Some(min), Some(max)) = (host_version_min, host_version_max)
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
