//! JSON that preserves its input: numbers as text, and repeated keys.
//!
//! `serde_json::Value` rounds numbers to 64 bits, and unwraps objects with the crate's private member names. Therefore
//! this module parses the input of callers: `serde_json` checks the grammar, and [`Node`] borrows the pieces.

mod reader;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use self::reader::Reader;
pub use self::reader::compact_length;
pub use self::text::JsonText;

#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    Null,
    Bool(bool),
    /// Text as sent: `1.50` and `1.5` differ.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Members<'a>),
}

/// Members in their order, with each repetition of a key.
pub type Members<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

impl<'a> Node<'a> {
    /// Parses one JSON value nested at most `max_depth` deep. The error is a phrase that follows the name of a field.
    pub fn parse(text: &'a str, max_depth: usize) -> Result<Self, String> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        Self::of_raw(raw, max_depth)
    }

    /// Parses a value whose grammar has been checked.
    pub fn of_raw(raw: &'a RawValue, max_depth: usize) -> Result<Self, String> {
        Reader::new(raw, max_depth).read(0)
    }

    /// Converts all borrowed texts to owned ones.
    pub fn into_owned(self) -> Node<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(value),
            Self::Number(text) => Node::Number(owned(text)),
            Self::Text(text) => Node::Text(owned(text)),
            Self::Array(items) => Node::Array(items.into_iter().map(Node::into_owned).collect()),
            Self::Object(members) => {
                let members = members.into_iter();
                Node::Object(
                    members
                        .map(|(key, value)| (owned(key), value.into_owned()))
                        .collect(),
                )
            }
        }
    }

    /// Returns the name of the value's type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Keeps the last of each repeated key, at the position of the first.
    fn without_repeats(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::without_repeats).collect()),
            Self::Object(members) => {
                let members = last_of_each(members).into_iter();
                Self::Object(
                    members
                        .map(|(key, value)| (key, value.without_repeats()))
                        .collect(),
                )
            }
            scalar => scalar,
        }
    }

    /// Sorts the members of each object by key.
    fn sorted(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::sorted).collect()),
            Self::Object(members) => {
                let members = members.into_iter();
                let mut members: Members<'_> = members.map(|(key, value)| (key, value.sorted())).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(members)
            }
            scalar => scalar,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Returns `true` if a number is written as an integer of at most 64 bits. `-0` is not one, because other parsers read
/// it as a fraction.
pub fn is_integer(number: &str) -> bool {
    number != "-0" && (number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok())
}

fn write_text(text: &str, out: &mut String) {
    // Serializing a text to memory does not fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn not_json(error: &serde_json::Error) -> String {
    format!("is not valid JSON ({error})")
}

/// Objects with fewer members are compared pairwise; larger ones use a hash map.
const FEW_MEMBERS: usize = 16;

/// Returns the members of an object, with only the last of each repeated key.
pub fn last_of_each(members: Members<'_>) -> Members<'_> {
    if members.len() < FEW_MEMBERS && !has_repeated_key(&members) {
        return members;
    }
    let mut kept: Members<'_> = Vec::with_capacity(members.len());
    let mut positions = HashMap::new();
    for (key, value) in members {
        if let Some(position) = positions.get(&key) {
            let slot: &mut (Cow<'_, str>, Node<'_>) = &mut kept[*position];
            slot.1 = value;
        } else {
            positions.insert(key.clone(), kept.len());
            kept.push((key, value));
        }
    }
    kept
}

fn has_repeated_key(members: &Members<'_>) -> bool {
    let mut rest = members.as_slice();
    while let Some(((key, _), after)) = rest.split_first() {
        if after.iter().any(|(other, _)| other == key) {
            return true;
        }
        rest = after;
    }
    false
}
