//! Rollouts: the share of the devices that gets a release, and the selection of these devices.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Number;
use sha2::{Digest, Sha256};

use super::field::Invalid;
use super::org::Level;
use super::text::RolloutKey;

/// Share in hundredths of a percent, 0 (nobody) to 10,000 (everybody).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub struct Share(u16);

impl Share {
    pub const EVERYBODY: Self = Self(10_000);

    pub const fn hundredths(self) -> u16 {
        self.0
    }

    pub fn from_hundredths(hundredths: i64) -> Result<Self, Invalid> {
        u16::try_from(hundredths)
            .ok()
            .filter(|value| *value <= Self::EVERYBODY.0)
            .map(Self)
            .ok_or_else(Self::refusal)
    }

    /// Parses a percentage with at most two decimals. Its decimal text is parsed, so that the result is exact.
    pub fn from_percent(percent: &Number) -> Result<Self, Invalid> {
        let text = percent.to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let decimals = decimals.trim_end_matches('0');
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
            return Err(Self::refusal());
        }
        format!("{whole}{decimals:0<2}")
            .parse()
            .map_err(|_| Self::refusal())
            .and_then(Self::from_hundredths)
    }

    /// Returns the percentage as JSON, as an integer if it is one.
    pub fn to_percent(self) -> Number {
        if self.0.is_multiple_of(100) {
            Number::from(self.0 / 100)
        } else {
            Number::from_f64(f64::from(self.0) / 100.0).unwrap_or_else(|| Number::from(0))
        }
    }

    /// Returns `true` if the share includes `bucket` (0 to 9,999). Raising the share only adds buckets.
    pub const fn selects(self, bucket: u16) -> bool {
        bucket < self.0
    }

    fn refusal() -> Invalid {
        Invalid::new("must be a number from 0 to 100 with at most two decimals")
    }
}

impl TryFrom<u16> for Share {
    type Error = Invalid;

    fn try_from(hundredths: u16) -> Result<Self, Invalid> {
        Self::from_hundredths(hundredths.into())
    }
}

/// Unit that is selected as a whole: a device, or everything below an org node of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloutUnit {
    Device,
    Level(Level),
}

impl RolloutUnit {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text == "device" {
            return Ok(Self::Device);
        }
        Level::all()
            .find(|level| level.to_string() == text)
            .map(Self::Level)
            .ok_or_else(|| Invalid::new("must be one of device, l1, l2, l3, l4, l5"))
    }
}

impl std::fmt::Display for RolloutUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device => f.write_str("device"),
            Self::Level(level) => level.fmt(f),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    pub share: Share,
    /// `None` stands for the release's own id.
    pub key: Option<RolloutKey>,
    pub unit: RolloutUnit,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            share: Share::EVERYBODY,
            key: None,
            unit: RolloutUnit::Device,
        }
    }
}

/// The JSON form gives the share as a percentage, like the API.
impl Serialize for Rollout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Rollout", 3)?;
        members.serialize_field("percent", &self.share.to_percent())?;
        members.serialize_field("key", &self.key)?;
        members.serialize_field("unit", &self.unit.to_string())?;
        members.end()
    }
}

/// Changes of a rollout. `None` leaves a field unchanged; `Some(None)` clears the key.
#[derive(Debug, Clone, Default)]
pub struct RolloutChanges {
    pub share: Option<Share>,
    pub key: Option<Option<RolloutKey>>,
    pub unit: Option<RolloutUnit>,
}

impl RolloutChanges {
    /// Returns the rollout of a new release.
    pub fn into_new(self) -> Rollout {
        let mut rollout = Rollout::default();
        self.apply_to(&mut rollout);
        rollout
    }

    pub fn apply_to(self, rollout: &mut Rollout) {
        let Self { share, key, unit } = self;
        *rollout = Rollout {
            share: share.unwrap_or(rollout.share),
            key: key.unwrap_or_else(|| rollout.key.take()),
            unit: unit.unwrap_or(rollout.unit),
        };
    }
}

/// Returns the bucket of a unit among 10,000, which is the same on every node and never changes.
///
/// The bucket is the big-endian `u64` of the first 8 bytes of SHA-256("slipway-bucket-v1" ‖ 0 ‖ key ‖ 0 ‖ unit), mod
/// 10,000. The pieces of the unit are hashed one after the other.
pub fn bucket<'a>(rollout_key: &str, unit: impl IntoIterator<Item = &'a str>) -> u16 {
    let mut hash = Sha256::new();
    hash.update(b"slipway-bucket-v1\0");
    hash.update(rollout_key);
    hash.update(b"\0");
    for piece in unit {
        hash.update(piece);
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u16::try_from(u64::from_be_bytes(first) % 10_000).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(json: &str) -> Result<u16, Invalid> {
        Share::from_percent(&serde_json::from_str(json).unwrap()).map(Share::hundredths)
    }

    #[test]
    fn percentages_are_read_exactly() {
        for (json, hundredths) in [
            ("0", 0),
            ("0.01", 1),
            ("0.29", 29),
            ("30.18", 3_018),
            ("30.10", 3_010),
            ("1e1", 1_000),
            ("99.99", 9_999),
            ("100", 10_000),
            ("100.00", 10_000),
        ] {
            assert_eq!(share(json), Ok(hundredths), "{json}");
        }
        for json in [
            "-1",
            "-0.01",
            "100.01",
            "0.001",
            "33.333",
            "1e9",
            "1e300",
            "18446744073709551615",
        ] {
            assert!(share(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_percentage_is_written_as_it_was_read() {
        for hundredths in 0..=10_000 {
            let share = Share::from_hundredths(hundredths).unwrap();
            assert_eq!(Share::from_percent(&share.to_percent()), Ok(share));
        }
        assert_eq!(
            Share::from_hundredths(3_018).unwrap().to_percent().to_string(),
            "30.18"
        );
        assert_eq!(Share::EVERYBODY.to_percent().to_string(), "100");
    }
}
