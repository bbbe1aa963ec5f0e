use serde::{Deserialize, Serialize};

use super::super::field::Invalid;

/// Limit in bytes on the artifacts of a tenant together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct ArtifactQuota(i64);

impl ArtifactQuota {
    pub fn parse(bytes: i64) -> Result<Self, Invalid> {
        if bytes >= 0 {
            Ok(Self(bytes))
        } else {
            Err(Invalid::new(format!("must be an integer from 0 to {}", i64::MAX)))
        }
    }

    pub const fn bytes(self) -> i64 {
        self.0
    }

    /// Returns `true` if a file of this size fits beside the used bytes.
    pub const fn has_room(self, used: i64, size: i64) -> bool {
        used.saturating_add(size) <= self.0
    }
}

/// 50 GiB.
impl Default for ArtifactQuota {
    fn default() -> Self {
        Self(50 << 30)
    }
}

impl TryFrom<i64> for ArtifactQuota {
    type Error = Invalid;

    fn try_from(bytes: i64) -> Result<Self, Invalid> {
        Self::parse(bytes)
    }
}
