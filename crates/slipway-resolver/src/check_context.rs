//! Inputs of a decision besides the app and the check.

use chrono::{DateTime, Utc};

/// State of the server that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext {
    pub now: DateTime<Utc>,
    /// Off switch of the tenant: `false` offers nothing.
    pub offers_enabled: bool,
    /// The last comparison with the database is so old that a halted rollout may have been missed.
    pub stale: bool,
}
