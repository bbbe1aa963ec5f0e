//! Kinds of parameter values. A kind determines the possible ends of a value when no separator follows it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::timestamp;

/// Kind of a parameter's value. Each kind covers at least the values that the server accepts for the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// Digits, with optional white space around them.
    Integer,
    /// Exactly one JSON value, or only white space.
    Json,
    /// One of these texts, or only white space.
    OneOf(&'static [&'static str]),
    Timestamp,
    /// The value in this request. Another value would need another signature or another key.
    Fixed,
}

/// Possible ends of a value, as lengths.
#[derive(Debug, PartialEq, Eq)]
pub enum ValueEnds {
    Anywhere,
    At(Vec<usize>),
}

impl ValueKind {
    /// Returns the possible ends of a value at the beginning of `text`. A value ends at the end of the text, or before
    /// the name of a parameter that is read. Such a name begins with a letter, so digits and white space belong to the
    /// preceding value.
    ///
    /// `own` is the parameter's value in the request.
    pub fn ends(self, text: &str, own: Option<&str>) -> ValueEnds {
        let blank = blank_length(text);
        ValueEnds::At(match self {
            Self::Text => return ValueEnds::Anywhere,
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

/// Returns the length of the JSON value at the beginning of a text, including white space around it. The following text
/// has no effect: `nullv2.0` begins with `null`.
fn json_length(text: &str) -> Option<usize> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = <&RawValue>::deserialize(&mut reader).ok()?;
    // The raw value excludes leading white space.
    let begin = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
    let end = begin + value.get().len();
    Some(end + blank_length(&text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(kind: ValueKind, text: &str) -> Vec<usize> {
        match kind.ends(text, Some("2.0")) {
            ValueEnds::At(lengths) => lengths,
            ValueEnds::Anywhere => panic!("{kind:?} ends anywhere"),
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
