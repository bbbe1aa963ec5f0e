//! JSON that is stored and passed on as text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Node, not_json};
use crate::catalog::field::Invalid;

/// Maximum nesting depth of stored JSON; `{}` has depth 1. Parsers in use stop at 127 levels, and answers add a few.
const MAX_STORED_DEPTH: usize = 120;

/// JSON value as text, passed on byte for byte.
#[derive(Debug, Clone)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// Serializes a value of the program itself.
    pub fn of(value: &impl Serialize) -> Self {
        Self(
            serde_json::value::to_raw_value(value)
                .expect("values of the catalog have text keys and serialise"),
        )
    }

    /// Returns the compact form of a caller's input: without white space, with the last of each repeated key, and with
    /// numbers as they were written.
    pub fn compacted(sent: &RawValue) -> Result<Self, Invalid> {
        let node = Node::of_raw(sent, MAX_STORED_DEPTH).map_err(Invalid::new)?;
        let mut text = String::with_capacity(sent.get().len());
        node.without_repeats().write(&mut text);
        Self::checked(text)
    }

    /// Accepts text that [`JsonText::as_str`] returned.
    pub fn checked(text: String) -> Result<Self, Invalid> {
        RawValue::from_string(text)
            .map(Self)
            .map_err(|error| Invalid::new(not_json(&error)))
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn into_string(self) -> String {
        Box::<str>::from(self.0).into_string()
    }

    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    pub fn is_object(&self) -> bool {
        self.as_str().starts_with('{')
    }

    /// Returns `true` if both are equal except for the order of members. Numbers are equal if their texts are: 1 and
    /// 1.0 differ.
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        let sorted = |json: &Self| Node::of_raw(&json.0, usize::MAX).map(|node| node.sorted().into_owned());
        self == other || sorted(self) == sorted(other)
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Requires `serde_json` itself, without adapters that buffer members (`flatten`, `untagged`).
impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = Box::<RawValue>::deserialize(deserializer)?;
        Self::compacted(&sent)
            .map_err(|why| D::Error::custom(format_args!("must be JSON that can be stored; it {why}")))
    }
}
