//! Values as pages show them.

use std::fmt;

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Bytes that are encoded in a segment of a path.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Time, which the script shows in the zone of the browser. Without script it is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.0.to_rfc3339_opts(SecondsFormat::Secs, true);
        let text = self.0.format("%Y-%m-%d %H:%M");
        let utc = self.0.format("%Y-%m-%d %H:%M:%S UTC");
        write!(
            f,
            "<time datetime=\"{machine}\" title=\"{utc}\">{text} UTC</time>"
        )
    }
}

/// It contains digits and fixed markup only.
impl HtmlSafe for Moment {}

/// Encodes a text as one segment of a path. An empty segment or a dot would be another path.
pub(super) fn segment(text: &str) -> String {
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// Writes a size in bytes with a unit of 1,024.
pub(super) fn bytes(size: i64) -> String {
    let mut unit = "B";
    let mut hundredths = i128::from(size) * 100;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if hundredths < 102_400 {
            break;
        }
        hundredths /= 1_024;
        unit = next;
    }
    if unit == "B" {
        format!("{size} B")
    } else {
        format!("{}.{} {unit}", hundredths / 100, hundredths % 100 / 10)
    }
}

/// Writes a number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(1_048_576), "1.0 MiB");
        assert_eq!(bytes(i64::MAX), "8388607.9 TiB");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
    }

    #[test]
    fn a_segment_stays_one() {
        assert_eq!(segment("a/b c%?#"), "a%2Fb%20c%25%3F%23");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("PDA-001_x.y~z:é"), "PDA-001_x.y~z:%C3%A9");
    }
}
