//! Other readings of a signature.
//!
//! The signed text is names and values with nothing in between, so the text of one request is also that of others:
//! `device_id` `1` with `device_type` `2` reads as `device_id` `1device_type2`. Whoever records a request could send it
//! again with another meaning. For the parameters that a method reads, a request is therefore refused when its text
//! has a reading (these parameters, in their order, each with a value that it could have) in which a parameter begins
//! inside one of its plain values. Of two readings at most one is so accepted: where they first differ, one has a
//! parameter that begins inside a value of the other, and that value is plain, since one JSON value has one end.

use std::collections::BTreeMap;
use std::ops::Range;

/// What a value of a parameter can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// Any text.
    Text,
    /// Digits, with blanks around them.
    Integer,
    /// Exactly one JSON value, or nothing but blanks.
    Json,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A timestamp.
    Timestamp,
    /// What this request has: another value would have another signature or another key.
    Fixed,
}

/// A parameter that is read, and what it can be.
pub(super) type ReadParameter = (&'static str, ValueKind);

/// The name of a parameter whose value makes the request readable in another way; `None` when there is no such way.
///
/// `params` is the signed set without `sign`, `read` what the method reads, sorted by name.
pub(super) fn ambiguous_parameter<'a>(
    params: &BTreeMap<&'a str, &'a str>,
    read: &[ReadParameter],
) -> Option<&'a str> {
    let mut run: Vec<(&str, &str)> = Vec::new();
    let mut lower = "";
    for (name, value) in params {
        if read.iter().any(|(known, _)| known == name) {
            run.push((name, value));
        } else {
            // A parameter that nobody reads ends a run: text may move into it, but not through it.
            if let Some(found) = ambiguous_in_run(&run, lower, Some(name), read) {
                return Some(found);
            }
            run.clear();
            lower = name;
        }
    }
    ambiguous_in_run(&run, lower, None, read)
}

fn ambiguous_in_run<'a>(
    run: &[(&'a str, &'a str)],
    lower: &str,
    upper: Option<&str>,
    read: &[ReadParameter],
) -> Option<&'a str> {
    let text: String = run.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let within = |name: &str| name > lower && upper.is_none_or(|upper| name < upper);
    let names: Vec<_> = read.iter().filter(|(name, _)| within(name)).copied().collect();
    let mut own = Vec::new();
    let mut position = 0;
    for (name, value) in run {
        let start = position + name.len();
        own.push((*name, start..start + value.len()));
        position = start + value.len();
    }
    let mut readings = Readings {
        text: &text,
        names: &names,
        own: &own,
        budget: 100_000,
    };
    let differs_at = readings.other_reading(0, 0)?;
    run.iter()
        .zip(&own)
        .find(|(_, (_, range))| range.end >= differs_at)
        .map(|((name, _), _)| *name)
}

/// A search through the readings of one text.
struct Readings<'t> {
    text: &'t str,
    names: &'t [ReadParameter],
    /// The reading of the request itself: names with the places of their values.
    own: &'t [(&'t str, Range<usize>)],
    /// How many steps the search may take; a text that needs more is taken for ambiguous.
    budget: usize,
}

impl Readings<'_> {
    /// Looks for a reading of the text from `position` on, with names from index `first` on, in which a parameter
    /// begins inside a plain value of the request; returns where.
    fn other_reading(&mut self, position: usize, first: usize) -> Option<usize> {
        self.search(position, first, None)
    }

    fn search(&mut self, position: usize, first: usize, differs_at: Option<usize>) -> Option<usize> {
        if position == self.text.len() {
            return differs_at;
        }
        let rest = &self.text[position..];
        for index in first..self.names.len() {
            let (name, kind) = self.names[index];
            if !rest.starts_with(name) {
                continue;
            }
            let start = position + name.len();
            let hidden = self.is_inside_a_plain_value(position);
            let differs_at = differs_at.or(hidden.then_some(position));
            for end in self.ends(start, index, name, kind) {
                if self.budget == 0 {
                    return Some(position);
                }
                self.budget -= 1;
                if let Some(found) = self.search(end, index + 1, differs_at) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn is_inside_a_plain_value(&self, position: usize) -> bool {
        let holder = self.own.iter().find(|(_, range)| range.contains(&position));
        holder.is_some_and(|(own, _)| {
            let kind = self
                .names
                .iter()
                .find(|(name, _)| name == own)
                .map(|(_, kind)| *kind);
            kind != Some(ValueKind::Json)
        })
    }

    /// Where a value of this parameter that begins at `start` could end: at the end of the text, or before a name that
    /// may stand next.
    fn ends(&self, start: usize, index: usize, name: &str, kind: ValueKind) -> Vec<usize> {
        let rest = &self.text[start..];
        let mut ends: Vec<_> = self.names[index + 1..]
            .iter()
            .flat_map(|(next, _)| rest.match_indices(next).map(|(offset, _)| start + offset))
            .collect();
        ends.push(self.text.len());
        ends.sort_unstable();
        ends.dedup();
        let json_end = (kind == ValueKind::Json).then(|| json_value_end(rest)).flatten();
        ends.retain(|end| {
            let value = &self.text[start..*end];
            match kind {
                ValueKind::Text => true,
                ValueKind::Integer => is_integer_or_blank(value),
                ValueKind::Json => {
                    value.trim().is_empty()
                        || json_end
                            .is_some_and(|length| value.len() >= length && value[length..].trim().is_empty())
                }
                ValueKind::OneOf(texts) => value.is_empty() || texts.contains(&value),
                ValueKind::Timestamp => super::timestamp::parse(value).is_some(),
                ValueKind::Fixed => self
                    .own
                    .iter()
                    .any(|(own, range)| *own == name && self.text[range.clone()] == *value),
            }
        });
        ends
    }
}

fn is_integer_or_blank(value: &str) -> bool {
    value.trim().bytes().all(|byte| byte.is_ascii_digit())
}

/// The length of the one JSON value that a text begins with. A number ends where its digits do.
fn json_value_end(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Some(values.byte_offset()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[ReadParameter] = &[
        ("attributes", ValueKind::Json),
        ("device_id", ValueKind::Text),
        ("device_type", ValueKind::Text),
        ("old_versions", ValueKind::Json),
        ("package_name", ValueKind::Text),
        ("tenant_id", ValueKind::Integer),
        ("version_code", ValueKind::Integer),
    ];

    fn ambiguous(params: &[(&'static str, &'static str)]) -> Option<&'static str> {
        ambiguous_parameter(&params.iter().copied().collect(), READ)
    }

    #[test]
    fn honest_values_are_read_in_one_way() {
        assert_eq!(
            ambiguous(&[
                ("attributes", r#"{"device_id":"1","version_code":2}"#),
                ("device_id", "12345"),
                ("device_type", "10013"),
                ("old_versions", r#"{"a":{"version_code":3},"tenant_id":4}"#),
                ("package_name", "com.vendor.app"),
                ("tenant_id", "10000000"),
                ("version_code", "1"),
            ]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "device_id"), ("version_code", "1")]),
            None
        );
        assert_eq!(
            ambiguous(&[("package_name", "com.version_code.app"), ("version_code", "1")]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "attributes5"), ("version_code", "1")]),
            None
        );
    }

    #[test]
    fn a_value_that_hides_a_parameter_is_found() {
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2"), ("version_code", "1")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[("device_id", "1old_versions{}"), ("version_code", "1")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[("package_name", "atenant_id7"), ("version_code", "1")]),
            Some("package_name")
        );
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2old_versions{}")]),
            Some("device_id")
        );
        assert_eq!(
            ambiguous(&[
                ("device_id", "1"),
                ("old_versions", r#"{"package_name":"a","version_code":"3"}"#)
            ]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", r#"1old_versions{""#), ("package_name", r#"":"a"}"#)]),
            Some("device_id")
        );
        // The border between two parameters that are both there moves.
        assert_eq!(
            ambiguous(&[("device_id", "1device_type9"), ("device_type", "2")]),
            Some("device_id")
        );
    }

    #[test]
    fn a_parameter_that_nobody_reads_ends_a_run() {
        assert_eq!(
            ambiguous(&[("device_id", "1version_code2"), ("other", "x")]),
            None
        );
        assert_eq!(
            ambiguous(&[("device_id", "1device_type2"), ("other", "x")]),
            Some("device_id")
        );
    }
}
