//! Instants in the precision of both databases.

use chrono::{DateTime, Utc};

/// Truncates an instant to the microseconds that PostgreSQL stores, so that a read returns what was written.
pub fn in_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    // A leap second becomes the following second, as in PostgreSQL.
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_cut_off() {
        let instant = DateTime::from_timestamp(1_700_000_000, 123_456_789);
        let cut = DateTime::from_timestamp(1_700_000_000, 123_456_000);
        assert_eq!(instant.map(in_micros), cut);
        let leap = "2016-12-31T23:59:60.5Z".parse().map(in_micros);
        assert_eq!(leap, "2017-01-01T00:00:00.5Z".parse());
        let far = DateTime::from_timestamp(253_402_300_799, 999_999_999);
        let cut = DateTime::from_timestamp(253_402_300_799, 999_999_000);
        assert_eq!(far.map(in_micros), cut);
    }
}
