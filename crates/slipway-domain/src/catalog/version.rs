//! Version codes (for the order) and version names (for display).

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::field::Invalid;
use super::text::VersionName;

/// Order of the releases of a resource, 0 to 2^63 − 1. Releases have codes from 1; 0 is the version of a resource that
/// is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct VersionCode(i64);

impl VersionCode {
    pub const NOT_INSTALLED: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    /// Validates an installed version or a bound of versions: 0 to 2^63 − 1.
    pub fn new(number: i64) -> Result<Self, Invalid> {
        Self::at_least(0, number)
    }

    /// Validates the version code of a release: 1 to 2^63 − 1.
    pub fn of_release(number: i64) -> Result<Self, Invalid> {
        Self::at_least(1, number)
    }

    fn at_least(min: i64, number: i64) -> Result<Self, Invalid> {
        if number >= min {
            Ok(Self(number))
        } else {
            Err(Invalid::new(format!(
                "must be an integer from {min} to {}",
                i64::MAX
            )))
        }
    }

    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for VersionCode {
    type Error = Invalid;

    fn try_from(number: i64) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl fmt::Display for VersionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns `true` if two version names contradict the order of their codes: both are `SemVer`, in the reverse order.
/// Equal names do not contradict it, and build metadata has no order (`SemVer` 2.0.0, rule 10).
pub fn names_contradict_codes(a: (VersionCode, &VersionName), b: (VersionCode, &VersionName)) -> bool {
    let (Ok(name_a), Ok(name_b)) = (Version::parse(a.1.as_str()), Version::parse(b.1.as_str())) else {
        return false;
    };
    let by_name = name_a.cmp_precedence(&name_b);
    by_name.is_ne() && by_name != a.0.cmp(&b.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contradict_only_when_both_are_semver_and_reversed() {
        let name = |text: &str| VersionName::parse(text).unwrap();
        let contradict = |a: i64, x: &str, b: i64, y: &str| {
            names_contradict_codes((VersionCode(a), &name(x)), (VersionCode(b), &name(y)))
        };
        assert!(contradict(234, "1.1.10", 240, "1.1.9"));
        assert!(contradict(240, "1.1.9", 234, "1.1.10"));
        assert!(contradict(2, "1.0.0-rc.1", 1, "1.0.0"));
        assert!(!contradict(234, "1.1.9", 240, "1.1.10"));
        assert!(!contradict(234, "1.1.9", 240, "1.1.9"));
        assert!(!contradict(1, "1.0.0+b", 2, "1.0.0+a"));
        assert!(!contradict(234, "1.2", 240, "1.1.9"));
        assert!(!contradict(234, "2.0.0", 240, "build 240"));
    }

    #[test]
    fn codes_of_releases_begin_at_one() {
        assert_eq!(VersionCode::new(0), Ok(VersionCode::NOT_INSTALLED));
        assert!(VersionCode::new(-1).is_err());
        assert!(VersionCode::of_release(0).is_err());
        assert_eq!(VersionCode::of_release(i64::MAX), Ok(VersionCode::MAX));
        assert_eq!(serde_json::from_str::<VersionCode>("7").unwrap().to_string(), "7");
        assert!(serde_json::from_str::<VersionCode>("-7").is_err());
    }
}
