//! Timestamps of the gateway: text in UTC+8, or milliseconds since 1970.

use std::ops::Range;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, TimeZone, Utc};

/// Maximum deviation of a client's clock, in either direction.
const TOLERANCE: TimeDelta = TimeDelta::minutes(10);
/// Format of a text timestamp, in which 0 stands for a digit.
const TEXT_PATTERN: &str = "0000-00-00 00:00:00";
/// Possible lengths of a timestamp: milliseconds, text.
pub const LENGTHS: [usize; 2] = [MILLISECOND_DIGITS, TEXT_PATTERN.len()];
const MILLISECOND_DIGITS: usize = 13;
const EIGHT_HOURS_S: i32 = 8 * 3_600;

/// Parses a timestamp.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    if text.len() == MILLISECOND_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return DateTime::from_timestamp_millis(text.parse().ok()?);
    }
    let matches_pattern = text.len() == TEXT_PATTERN.len()
        && text
            .bytes()
            .zip(TEXT_PATTERN.bytes())
            .all(|(byte, pattern)| match pattern {
                b'0' => byte.is_ascii_digit(),
                separator => byte == separator,
            });
    if !matches_pattern {
        return None;
    }
    let number = |digits: Range<usize>| text[digits].parse::<u32>().ok();
    let year = text[..4].parse().ok()?;
    let wall_clock = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?.and_hms_opt(
        number(11..13)?,
        number(14..16)?,
        number(17..19)?,
    )?;
    let zone = FixedOffset::east_opt(EIGHT_HOURS_S)?;
    zone.from_local_datetime(&wall_clock)
        .single()
        .map(|instant| instant.to_utc())
}

/// Formats an instant as clients send it: text in UTC+8.
pub fn format_utc8(instant: DateTime<Utc>) -> String {
    let zone = FixedOffset::east_opt(EIGHT_HOURS_S).expect("eight hours are less than a day");
    instant
        .with_timezone(&zone)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Returns true if a timestamp is valid and within the tolerance.
pub fn is_current(text: &str, now: DateTime<Utc>) -> bool {
    parse(text).is_some_and(|instant| (now - instant).abs() <= TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_instant() {
        let instant = "2026-01-01T19:04:05Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(parse("2026-01-02 03:04:05"), Some(instant));
        assert_eq!(parse("1767294245000"), Some(instant));
        assert_eq!(format_utc8(instant), "2026-01-02 03:04:05");
    }

    #[test]
    fn other_texts_are_no_timestamps() {
        for text in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-1-2 3:4:5",
            "176729424500",
            "2026-02-30 00:00:00",
            " 2026-01-02 03:04:0",
            "+767294245000",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn ten_minutes_either_way_are_allowed() {
        let now = parse("2026-01-02 03:04:05").unwrap();
        for (text, current) in [
            ("2026-01-02 02:54:05", true),
            ("2026-01-02 02:54:04", false),
            ("2026-01-02 03:14:05", true),
            ("2026-01-02 03:14:06", false),
        ] {
            assert_eq!(is_current(text, now), current, "{text}");
        }
    }
}
