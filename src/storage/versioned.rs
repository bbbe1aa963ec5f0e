//! Values with the metadata of their rows.

use chrono::{DateTime, Utc};

use super::etag::random_tag;
use super::time::in_micros;

/// Value with the metadata of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    pub value: T,
    /// Tag that distinguishes this state of the row from every other; new with each write.
    pub etag: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl<T> Versioned<T> {
    pub(super) fn new(value: T, now: DateTime<Utc>) -> Self {
        let now = in_micros(now);
        Self {
            value,
            etag: random_tag(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the row after an update.
    pub(super) fn rewritten(&self, value: T, now: DateTime<Utc>) -> Self {
        Self {
            created_at: self.created_at,
            ..Self::new(value, now)
        }
    }
}
