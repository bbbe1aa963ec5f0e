//! Instants as both databases keep them.

use chrono::{DateTime, Timelike, Utc};

/// Cuts an instant to the microseconds that PostgreSQL keeps, so that what is read equals what was written.
pub fn in_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant
        .with_nanosecond(instant.nanosecond() / 1_000 * 1_000)
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
        // Beyond 2262 nanoseconds since 1970 do not fit 64 bits.
        let far = DateTime::from_timestamp(10_413_792_000, 1_999);
        assert_eq!(
            far.map(in_micros),
            DateTime::from_timestamp(10_413_792_000, 1_000)
        );
    }
}
