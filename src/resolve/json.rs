//! JSON as devices send it: repeated keys kept, depth limited, texts borrowed where nothing is escaped.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Number;

/// The deepest nesting that is read; `{}` has depth 1.
pub(super) const MAX_DEPTH: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Members<'a>),
}

/// Members in their order, a repeated key as often as it was sent.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

impl<'a> Node<'a> {
    /// Reads one JSON value; the error is a phrase that follows a field's name.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        AtDepth(0)
            .deserialize(&mut reader)
            .and_then(|node| reader.end().map(|()| node))
            .map_err(|error| {
                if error.is_data() {
                    error.to_string()
                } else {
                    format!("is not valid JSON ({error})")
                }
            })
    }

    /// The value without what it borrows.
    pub(super) fn into_owned(self) -> Node<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(value),
            Self::Number(value) => Node::Number(value),
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

    /// What the value is called in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Bytes of the compact form.
    pub(super) fn compact_length(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

/// Fewer members than this are compared with one another; more are looked up.
const FEW_MEMBERS: usize = 16;

/// The members of an object, the last of a repeated key.
pub(super) fn last_of_each(members: Members<'_>) -> Members<'_> {
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

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members.iter().map(|(key, value)| (key, value))),
        }
    }
}

/// Reads a value that stands inside this many arrays and objects.
#[derive(Clone, Copy)]
struct AtDepth(usize);

impl AtDepth {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.0 == MAX_DEPTH {
            return Err(E::custom(format_args!("is nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for AtDepth {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AtDepth {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        Number::from_f64(value)
            .map(Node::Number)
            .ok_or_else(|| E::custom("holds a number that is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node<'de>, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let inside = self.inside()?;
        let mut members = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            members.push((key, map.next_value_seed(inside)?));
        }
        Ok(Node::Object(members))
    }
}

/// Reads a member's name, borrowed where nothing in it is escaped.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_kept() {
        let Ok(Node::Object(members)) = Node::parse(r#"{"a":1,"b":2,"a":3}"#) else {
            panic!("an object");
        };
        assert_eq!(members.len(), 3);
        let kept = last_of_each(members);
        assert_eq!(kept[0], ("a".into(), Node::Number(3.into())));
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn depth_is_limited_and_counted_from_one() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Node::parse(&nested(8)).is_ok());
        assert!(
            Node::parse(&nested(9))
                .unwrap_err()
                .contains("nested deeper than 8")
        );
        assert!(Node::parse(&nested(100_000)).is_err());
    }

    #[test]
    fn exactly_one_value_is_read() {
        assert!(Node::parse("{} {}").is_err());
        assert!(Node::parse("{'a': 1}").is_err());
        assert!(Node::parse("").is_err());
    }
}
