//! Organization of a merchant, to which devices belong: scopes, and the directory that completes them.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::field::{FieldError, Invalid};
use super::membership::Membership;
pub use super::org_directory::OrgDirectory;
pub use super::org_level::{LEVELS, Level, LevelCodes, OrgCode, OrgNode};

/// Maximum number of nodes in an org directory.
pub const MAX_DIRECTORY_NODES: usize = 100_000;

impl LevelCodes {
    /// Returns `true` if every level named here has the same code in the membership.
    pub fn is_matched_by(&self, device: &Membership<'_>) -> bool {
        Level::all().all(|level| {
            let named = self.get(level);
            named.is_none() || named == device.get(level)
        })
    }

    fn iter_named(&self) -> impl Iterator<Item = (Level, &str)> {
        Level::all().filter_map(|level| self.get(level).map(|code| (level, code)))
    }
}

/// Scope or exclusion of a release, or org place of a device. Names at least one level. The JSON form is `{"l1Code":
/// "HM", "l3Code": "8007"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrgScope(LevelCodes);

impl OrgScope {
    pub fn new(codes: LevelCodes) -> Result<Self, Invalid> {
        if codes.depth() == 0 {
            return Err(Invalid::new(
                "must name at least one of l1Code, l2Code, l3Code, l4Code, l5Code",
            ));
        }
        Ok(Self(codes))
    }

    pub fn codes(&self) -> &LevelCodes {
        &self.0
    }

    /// Fills in the ancestors that a directory knows. Intended for the places of a device.
    #[must_use]
    pub fn completed(&self, directory: &OrgDirectory) -> Self {
        let mut place = Membership::of_codes(&self.0);
        directory.complete(&mut place);
        Self(place.to_codes())
    }
}

impl Serialize for OrgScope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter_named()
                .map(|(level, code)| (format!("{level}Code"), code)),
        )
    }
}

impl<'de> Deserialize<'de> for OrgScope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = HashMap::<String, OrgCode>::deserialize(deserializer)?;
        let mut codes = LevelCodes::default();
        for level in Level::all() {
            if let Some(code) = named.get(&format!("{level}Code")) {
                codes.set(level, code.as_str());
            }
        }
        Self::new(codes).map_err(serde::de::Error::custom)
    }
}

/// Checks a whole directory: its size, and that no path occurs twice.
pub fn check_directory(nodes: &[OrgNode]) -> Vec<FieldError> {
    if nodes.len() > MAX_DIRECTORY_NODES {
        return vec![FieldError::invalid(
            "nodes",
            format!(
                "must hold at most {MAX_DIRECTORY_NODES} nodes, not {}",
                nodes.len()
            ),
        )];
    }
    let mut seen = HashSet::new();
    nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| !seen.insert(&node.path))
        .map(|(index, _)| {
            FieldError::invalid(
                format!("nodes[{index}].path"),
                "must not be given twice in a directory",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(named: &[(usize, &str)]) -> LevelCodes {
        let mut codes = LevelCodes::default();
        for (number, code) in named {
            codes.set(Level::all().nth(number - 1).unwrap(), code);
        }
        codes
    }

    fn place(named: &[(usize, &'static str)]) -> Membership<'static> {
        let mut place = Membership::default();
        for (number, code) in named {
            place.set(Level::all().nth(number - 1).unwrap(), (*code).into());
        }
        place
    }

    #[test]
    fn a_scope_matches_when_each_level_it_names_is_equal() {
        let device = place(&[(1, "HM"), (2, "HM-SH"), (3, "8007")]);
        assert!(codes(&[(1, "HM")]).is_matched_by(&device));
        assert!(codes(&[(3, "8007")]).is_matched_by(&device));
        assert!(!codes(&[(1, "hm")]).is_matched_by(&device));
        assert!(!codes(&[(1, "HM"), (4, "F1")]).is_matched_by(&device));
    }

    #[test]
    fn a_scope_survives_json() {
        let scope: OrgScope = serde_json::from_str(r#"{"l3Code":"8007","l1Code":"HM"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&scope).unwrap(),
            r#"{"l1Code":"HM","l3Code":"8007"}"#
        );
        assert!(serde_json::from_str::<OrgScope>("{}").is_err());
    }
}
