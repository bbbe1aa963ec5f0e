//! Organization of a merchant, to which devices belong: level codes, and the directory that completes them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::field::{FieldError, Invalid};
use super::membership::Membership;
pub use super::org_directory::OrgDirectory;
use super::text::Name;

/// Number of levels, l1 (headquarters) to l5.
pub const LEVELS: usize = 5;
/// Maximum number of nodes in an org directory.
pub const MAX_DIRECTORY_NODES: usize = 100_000;

/// Code at one level: trimmed text of 1 to 128 characters, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrgCode(String);

impl OrgCode {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > 128 || text.chars().any(char::is_control) {
            return Err(Invalid::new(
                "must be a code of 1 to 128 characters without control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Level from 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Level(u8);

impl Level {
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=5).map(Self)
    }

    /// Returns the number of the level: 1 for l1.
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// Returns the position in an array of levels: 0 for l1.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", self.0)
    }
}

/// Codes by level, each of them optional, as named by a scope or a pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LevelCodes([Option<Box<str>>; LEVELS]);

impl LevelCodes {
    pub fn from_path<S: AsRef<str>>(path: &[S]) -> Self {
        let mut codes = Self::default();
        for (slot, code) in codes.0.iter_mut().zip(path) {
            *slot = Some(code.as_ref().into());
        }
        codes
    }

    pub fn set(&mut self, level: Level, code: &str) {
        self.0[level.index()] = Some(code.into());
    }

    pub fn get(&self, level: Level) -> Option<&str> {
        self.0[level.index()].as_deref()
    }

    /// Returns the deepest level named, or 0 if there is none.
    pub fn depth(&self) -> usize {
        self.0
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |index| index + 1)
    }

    /// Returns the code of the deepest level named.
    pub fn deepest(&self) -> Option<&str> {
        self.0.iter().rev().flatten().next().map(AsRef::as_ref)
    }

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let named = HashMap::<String, String>::deserialize(deserializer)?;
        let mut codes = LevelCodes::default();
        for level in Level::all() {
            if let Some(code) = named.get(&format!("{level}Code")) {
                codes.set(level, code);
            }
        }
        Self::new(codes).map_err(serde::de::Error::custom)
    }
}

/// Node of the directory: the codes from l1 down to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgNode {
    pub path: Vec<OrgCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Name in the IANA time zone database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Tz>,
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
