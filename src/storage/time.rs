//! Instants as both databases keep them.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// Cuts an instant to the microseconds that PostgreSQL keeps, so that what is read equals what was written.
pub fn in_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    // Far from 1970 nanoseconds overflow, and there nothing has been cut finer than it was given.
    instant
        .duration_trunc(TimeDelta::microseconds(1))
        .unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_cut_off() {
        let instant = DateTime::from_timestamp(1_700_000_000, 123_456_789);
        let cut = DateTime::from_timestamp(1_700_000_000, 123_456_000);
        assert_eq!(instant.map(in_micros), cut);
    }
}
