//! Texts that are usually short, stored where their owner is.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;
use serde::{Serialize, Serializer};

/// Length of the longest text in place, in bytes. Generated keys and secrets and most package names are shorter.
const IN_PLACE_BYTES: usize = 40;

/// Text that is part of its owner's memory if it is short. Reading it then waits for no cache line of its own.
#[derive(Debug, Clone)]
pub enum ShortText {
    InPlace(ArrayString<IN_PLACE_BYTES>),
    Allocated(Box<str>),
}

impl ShortText {
    pub fn as_str(&self) -> &str {
        match self {
            Self::InPlace(text) => text,
            Self::Allocated(text) => text,
        }
    }
}

impl From<&str> for ShortText {
    fn from(text: &str) -> Self {
        ArrayString::from(text).map_or_else(|_| Self::Allocated(text.into()), Self::InPlace)
    }
}

/// Maps with such keys are searched by text.
impl Borrow<str> for ShortText {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Hash for ShortText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq for ShortText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ShortText {}

impl Serialize for ShortText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_text_of_any_length_is_found_by_its_text() {
        let lengths = [0, 12, IN_PLACE_BYTES, IN_PLACE_BYTES + 1, 500];
        let texts = lengths.map(|length| "x".repeat(length));
        let map: HashMap<_, _> = texts
            .iter()
            .map(|text| (ShortText::from(text.as_str()), text.len()))
            .collect();
        for text in &texts {
            assert_eq!(map.get(text.as_str()), Some(&text.len()));
            assert_eq!(ShortText::from(text.as_str()).as_str(), text);
        }
        assert_eq!(map.get("y"), None);
    }
}
