//! Levels of an organization, and the codes at them.

use std::fmt;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::field::Invalid;
use super::text::Name;

/// Number of levels, l1 (headquarters) to l5.
pub const LEVELS: usize = 5;

/// Code at one level: trimmed text of 1 to 128 characters, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
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

impl TryFrom<String> for OrgCode {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

/// Level from 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Level(u8);

impl Level {
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
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

impl TryFrom<u8> for Level {
    type Error = Invalid;

    fn try_from(number: u8) -> Result<Self, Invalid> {
        Self::all()
            .find(|level| level.0 == number)
            .ok_or_else(|| Invalid::new("must be a level from 1 to 5"))
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

    /// Returns the codes from l1 down to the first level that is not named.
    pub fn path(&self) -> Vec<OrgCode> {
        let named = self.0.iter().map_while(Option::as_deref);
        named.map_while(|code| OrgCode::parse(code).ok()).collect()
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
