//! What a value of a parameter can be, and so where it can end when nothing separates it from what follows.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::timestamp;

/// What a value of a parameter can be. Each kind takes at least what the server accepts of the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// Any text.
    Text,
    /// Digits, with blanks around them.
    Integer,
    /// Exactly one JSON value, or nothing but blanks.
    Json,
    /// One of these texts, or nothing but blanks.
    OneOf(&'static [&'static str]),
    /// A timestamp.
    Timestamp,
    /// What this request has: another value would have another signature or another key.
    Fixed,
}

/// Where a value can end, as lengths.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Anywhere,
    At(Vec<usize>),
}

impl ValueKind {
    /// Where a value that `text` begins with can end: at the end of the text, or before the name of a parameter that
    /// is read. Such a name begins with a letter, so digits and blanks belong to the value before it.
    ///
    /// `own` is the parameter's value in the request.
    pub(super) fn ends(self, text: &str, own: Option<&str>) -> Ends {
        let blank = blank_length(text);
        Ends::At(match self {
            Self::Text => return Ends::Anywhere,
            Self::Integer => vec![integer_length(text)],
            Self::Json => std::iter::once(blank).chain(json_length(text)).collect(),
            Self::OneOf(values) => std::iter::once(blank)
                .chain(
                    values
                        .iter()
                        .copied()
                        .filter_map(|value| prefix_length(text, value)),
                )
                .collect(),
            Self::Timestamp => timestamp::LENGTHS
                .into_iter()
                .filter(|length| text.get(..*length).and_then(timestamp::parse).is_some())
                .collect(),
            Self::Fixed => own.and_then(|own| prefix_length(text, own)).into_iter().collect(),
        })
    }
}

fn prefix_length(text: &str, value: &str) -> Option<usize> {
    text.starts_with(value).then_some(value.len())
}

fn blank_length(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn integer_length(text: &str) -> usize {
    let rest = text.trim_start();
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    text.len() - rest.trim_start().len()
}

/// The length of the one JSON value that a text begins with, and the blanks around it. What follows does not matter:
/// `nullv2.0` begins with `null`.
fn json_length(text: &str) -> Option<usize> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = <&RawValue>::deserialize(&mut reader).ok()?;
    // The raw value leaves out the blanks before it.
    let begin = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
    let end = begin + value.get().len();
    Some(end + blank_length(&text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(kind: ValueKind, text: &str) -> Vec<usize> {
        match kind.ends(text, Some("2.0")) {
            Ends::At(lengths) => lengths,
            Ends::Anywhere => panic!("{kind:?} ends anywhere"),
        }
    }

    #[test]
    fn a_value_ends_where_no_more_can_belong_to_it() {
        assert_eq!(ends(ValueKind::Integer, "12 3v2.0"), [3]);
        assert_eq!(ends(ValueKind::Integer, " 007 "), [5]);
        assert_eq!(ends(ValueKind::Integer, "v2.0"), [0]);
        assert_eq!(
            ends(ValueKind::OneOf(&["hmac", "hmac-sha256"]), "hmac-sha256v"),
            [0, 4, 11]
        );
        assert_eq!(ends(ValueKind::OneOf(&["json"]), "  v"), [2]);
        assert_eq!(ends(ValueKind::Timestamp, "2026-01-02 03:04:05v2.0"), [19]);
        assert_eq!(ends(ValueKind::Timestamp, "1767294245000v2.0"), [13]);
        assert_eq!(ends(ValueKind::Timestamp, "杭杭杭杭杭杭杭"), [0; 0]);
        assert_eq!(ends(ValueKind::Fixed, "2.0x"), [3]);
        assert_eq!(ends(ValueKind::Fixed, "2.1"), [0; 0]);
    }

    #[test]
    fn one_json_value_has_one_end_whatever_follows() {
        for (text, length) in [
            ("{}device_id", 2),
            (" {\"a\":\"v2.0\"} v2.0", 14),
            ("nullversion_code1", 4),
            ("truev2.0", 4),
            ("12v2.0", 2),
            ("1.5e3version_code", 5),
            ("\"{\\\"a\\\":1}\"v", 11),
            ("[[[]]]", 6),
        ] {
            assert_eq!(json_length(text), Some(length), "{text}");
        }
        assert_eq!(json_length("{\"a\":1"), None);
        assert_eq!(json_length("device_id"), None);
        assert_eq!(ends(ValueKind::Json, "  "), [2]);
    }
}
