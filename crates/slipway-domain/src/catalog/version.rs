//! Version codes (for the order) and version names (for display).

use std::fmt::{self, Write as _};

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

/// Returns a text whose bytewise order is the precedence of version names that are `SemVer`; empty for other names.
/// Build metadata has no order.
pub fn semver_order_key(name: &VersionName) -> String {
    let Ok(version) = Version::parse(name.as_str()) else {
        return String::new();
    };
    let mut key = format!(
        "{:020}.{:020}.{:020}",
        version.major, version.minor, version.patch
    );
    if version.pre.is_empty() {
        // Above every pre-release, whose identifiers begin with a digit here.
        key.push('~');
    }
    for identifier in version.pre.split('.').filter(|identifier| !identifier.is_empty()) {
        if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
            // Numbers have no leading zeros, so a longer one is larger. They precede identifiers with letters.
            let _ = write!(key, "1{:03}{identifier} ", identifier.len());
        } else {
            // The blank is below every character of an identifier, so that a prefix comes first.
            let _ = write!(key, "2{identifier} ");
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_of_keys_is_the_precedence_of_names(
            names in proptest::collection::vec("[0-9]{1,2}\\.[0-2]\\.[01](-([a-c-]{1,2}|0|[1-9][0-9]{0,3})(\\.([a-b-]{1,2}|0|[1-9][0-9]{0,2})){0,2})?(\\+[a-z0-9]{1,3})?", 2..6)
        ) {
            let parsed: Vec<_> = names.iter().filter_map(|name| Some((Version::parse(name).ok()?, VersionName::parse(name.as_str()).ok()?))).collect();
            for (a, name_a) in &parsed {
                for (b, name_b) in &parsed {
                    prop_assert_eq!(a.cmp_precedence(b), semver_order_key(name_a).cmp(&semver_order_key(name_b)), "{} {}", a, b);
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_not_semver_has_no_key() {
        assert_eq!(semver_order_key(&VersionName::parse("1.2").unwrap()), "");
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
