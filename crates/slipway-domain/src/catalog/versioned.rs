//! Values with the metadata of their writes.

use chrono::{DateTime, Utc};

/// Value with its entity tag and the times of its writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    pub value: T,
    /// Tag that distinguishes this state of the value from every other; new with each write.
    pub etag: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}
