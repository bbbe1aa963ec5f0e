//! Metadata of a row that is written.

use chrono::{DateTime, Utc};

use super::etag::random_tag;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::versioned::Versioned;

/// Returns the first version of a row.
pub(super) fn first_version<T>(value: T, now: DateTime<Utc>) -> Versioned<T> {
    let now = in_micros(now);
    Versioned {
        value,
        etag: random_tag(),
        created_at: now,
        updated_at: now,
    }
}

/// Returns the version of a row after an update.
pub(super) fn next_version<T>(before: &Versioned<T>, value: T, now: DateTime<Utc>) -> Versioned<T> {
    Versioned {
        created_at: before.created_at,
        ..first_version(value, now)
    }
}
