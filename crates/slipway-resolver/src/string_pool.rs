//! Pool of an app's texts that checks compare: contiguous in memory, and without duplicates.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::prefetch::prefetch;

/// All texts, concatenated.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StringPool(Box<str>);

/// Reference to a text. The default is the empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StringRef {
    start: u32,
    length: u32,
}

impl StringPool {
    /// Returns the text, or `None` if it is missing. A missing text differs from the empty one, which may mean that
    /// nothing was named.
    pub(super) fn get(&self, text: StringRef) -> Option<&str> {
        let start = text.start as usize;
        self.0.get(start..start + text.length as usize)
    }

    pub(super) fn prefetch(&self) {
        prefetch(self.0.as_bytes(), |byte| u32::from(*byte));
    }
}

impl StringRef {
    /// Invalid reference, after all collected texts. Differs from the empty text.
    pub(super) const INVALID: Self = Self {
        start: u32::MAX,
        length: u32::MAX,
    };

    /// Returns a reference to a text in the first 4 GiB, and an invalid one for a text after them.
    fn at(start: usize, length: usize) -> Self {
        let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(length)) else {
            return Self::INVALID;
        };
        let fits = start.checked_add(length).is_some();
        if fits {
            Self { start, length }
        } else {
            Self::INVALID
        }
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Builder of a pool, with up to 4 GiB of distinct texts per app.
#[derive(Default)]
pub(super) struct StringPoolBuilder {
    all: String,
    known: HashMap<Box<str>, StringRef>,
}

impl StringPoolBuilder {
    /// Returns [`StringRef::INVALID`] if there is no room for the text.
    pub(super) fn add(&mut self, text: &str) -> StringRef {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let added = StringRef::at(self.all.len(), text.len());
        if added != StringRef::INVALID {
            self.all.push_str(text);
            self.known.insert(text.into(), added);
        }
        added
    }

    pub(super) fn into_all(self) -> StringPool {
        StringPool(self.all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_again_and_equal_ones_stand_once() {
        let mut builder = StringPoolBuilder::default();
        let given = ["8007", "仓库", "", "8007", "80"];
        let added = given.map(|text| builder.add(text));
        assert_eq!(added[0], added[3]);
        let texts = builder.into_all();
        assert_eq!(added.map(|text| texts.get(text)), given.map(Some));
        assert_eq!(texts.0.len(), "8007仓库80".len());
        assert_eq!(texts.get(StringRef::default()), Some(""));
    }

    #[test]
    fn a_text_that_is_not_there_is_not_the_empty_one() {
        let mut builder = StringPoolBuilder::default();
        let added = builder.add("仓库");
        let texts = builder.into_all();
        let cut = StringRef { start: 1, ..added };
        for missing in [StringRef::INVALID, cut, StringRef { length: 7, ..added }] {
            assert_eq!(texts.get(missing), None, "{missing:?}");
            assert!(!missing.is_empty());
        }
    }

    #[test]
    fn texts_have_places_in_the_first_four_gibibytes_alone() {
        let end = u32::MAX as usize;
        assert_ne!(StringRef::at(end - 4, 4), StringRef::INVALID);
        for (start, length) in [(end - 3, 4), (end, 1), (end + 1, 0), (0, end + 1)] {
            assert_eq!(
                StringRef::at(start, length),
                StringRef::INVALID,
                "{start} {length}"
            );
        }
    }
}
