//! Lowest API level of Android on which a file installs.

use std::fmt;
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use super::attribute::Decimal;
use super::field::Invalid;

/// Attribute in which a device sends its API level (`Build.VERSION.SDK_INT`).
pub const SDK_ATTRIBUTE: &str = "sdkInt";

/// API level that a device must have, at least 2: every device has level 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct MinSdk(NonZero<u16>);

impl MinSdk {
    /// Returns the requirement of a file; `None` if every device meets it. Levels above 65,535 do not exist and count as
    /// that number.
    pub fn of_file(level: u32) -> Option<Self> {
        let level = u16::try_from(level).unwrap_or(u16::MAX);
        NonZero::new(level).filter(|level| level.get() > 1).map(Self)
    }

    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Returns `true` unless the device sent a number below this level. The number is read as in an attribute rule. A
    /// device that sent none, or another text, is not excluded: Android itself refuses a file that needs a higher level.
    pub fn admits(self, sent: Option<&str>) -> bool {
        let level = sent.and_then(Decimal::of_device);
        level.is_none_or(|level| !level.is_below(self.get().into()))
    }
}

impl TryFrom<u16> for MinSdk {
    type Error = Invalid;

    fn try_from(level: u16) -> Result<Self, Invalid> {
        Self::of_file(level.into()).ok_or_else(|| Invalid::new("must be an API level from 2 to 65535"))
    }
}

impl From<MinSdk> for u16 {
    fn from(level: MinSdk) -> Self {
        level.get()
    }
}

impl fmt::Display for MinSdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lower_number_is_excluded() {
        let level = MinSdk::of_file(30).unwrap();
        for excluded in ["29", " 29 ", "0", "-1", "29.9", "2.9e1"] {
            assert!(!level.admits(Some(excluded)), "{excluded}");
        }
        for admitted in [
            "30",
            "31",
            "30.0",
            "",
            "S",
            "true",
            "9x",
            "NaN",
            "9223372036854775808",
        ] {
            assert!(level.admits(Some(admitted)), "{admitted}");
        }
        assert!(level.admits(None));
        assert!(level.admits(Some(&format!("-{}", "1".repeat(1_001)))));
    }

    #[test]
    fn a_level_that_every_device_has_is_no_requirement() {
        assert_eq!((MinSdk::of_file(0), MinSdk::of_file(1)), (None, None));
        assert_eq!(MinSdk::of_file(u32::MAX).map(MinSdk::get), Some(u16::MAX));
        assert!(serde_json::from_str::<MinSdk>("1").is_err());
        assert_eq!(serde_json::from_str::<MinSdk>("21").ok(), MinSdk::of_file(21));
    }
}
