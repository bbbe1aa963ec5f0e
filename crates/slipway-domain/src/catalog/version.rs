//! Version codes (for the order) and version names (for display).

use semver::Version;

use super::field::Invalid;
use super::text::VersionName;

/// Order of the releases of a resource. For an installed resource, 0 means *not installed*.
pub type VersionCode = i64;

/// Validates the version code of a release: 1 to 2^63 − 1.
pub fn parse_version_code(number: i64) -> Result<VersionCode, Invalid> {
    if number >= 1 {
        Ok(number)
    } else {
        Err(Invalid::new(format!("must be an integer from 1 to {}", i64::MAX)))
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
        let contradict =
            |a: i64, x: &str, b: i64, y: &str| names_contradict_codes((a, &name(x)), (b, &name(y)));
        assert!(contradict(234, "1.1.10", 240, "1.1.9"));
        assert!(contradict(240, "1.1.9", 234, "1.1.10"));
        assert!(contradict(2, "1.0.0-rc.1", 1, "1.0.0"));
        assert!(!contradict(234, "1.1.9", 240, "1.1.10"));
        assert!(!contradict(234, "1.1.9", 240, "1.1.9"));
        assert!(!contradict(1, "1.0.0+b", 2, "1.0.0+a"));
        assert!(!contradict(234, "1.2", 240, "1.1.9"));
        assert!(!contradict(234, "2.0.0", 240, "build 240"));
    }
}
