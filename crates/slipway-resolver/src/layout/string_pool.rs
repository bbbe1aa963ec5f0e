//! Pool of an app's texts that checks compare: contiguous in memory, and without duplicates.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::error::LayoutError;
use super::list_ref::{index, require_addressable};
use super::prefetch::prefetch;

/// All texts, concatenated.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StringPool(Box<str>);

/// Reference to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StringRef {
    start: u32,
    length: u32,
}

impl StringPool {
    /// Returns a text, which the pool must contain.
    pub(super) fn get(&self, text: StringRef) -> &str {
        &self.0[text.range()]
    }

    /// Requires that the pool contains the text.
    pub(super) fn require(&self, text: StringRef) -> Result<(), LayoutError> {
        let is_within = self.0.get(text.range()).is_some();
        is_within
            .then_some(())
            .ok_or(LayoutError::InvalidReference("texts"))
    }

    pub(super) fn prefetch(&self) {
        prefetch(self.0.as_bytes(), |byte| u32::from(*byte));
    }
}

impl StringRef {
    pub(super) const EMPTY: Self = Self { start: 0, length: 0 };

    pub(super) fn start(self) -> u32 {
        self.start
    }

    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

/// Texts in bytewise order.
#[derive(Clone, Copy)]
pub(crate) struct SortedTexts<'a> {
    sorted: &'a [StringRef],
    pool: &'a StringPool,
}

impl<'a> SortedTexts<'a> {
    pub(super) fn new(sorted: &'a [StringRef], pool: &'a StringPool) -> Self {
        Self { sorted, pool }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.sorted.is_empty()
    }

    pub(crate) fn len(self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a str> {
        let pool = self.pool;
        self.sorted.iter().map(move |text| pool.get(*text))
    }

    pub(crate) fn contains(self, text: &str) -> bool {
        self.sorted
            .binary_search_by(|listed| self.pool.get(*listed).cmp(text))
            .is_ok()
    }

    /// Returns `true` if the texts are in the order that [`Self::contains`] requires.
    pub(super) fn is_sorted(self) -> bool {
        self.sorted.is_sorted_by_key(|text| self.pool.get(*text))
    }
}

/// Builder of a pool.
#[derive(Default)]
pub(super) struct StringPoolBuilder {
    all: String,
    known: HashMap<Box<str>, StringRef>,
}

impl StringPoolBuilder {
    pub(super) fn add(&mut self, text: &str) -> StringRef {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let added = StringRef {
            start: index(self.all.len()),
            length: index(text.len()),
        };
        self.all.push_str(text);
        self.known.insert(text.into(), added);
        added
    }

    /// Returns the pool, unless references cannot address all of it.
    pub(super) fn into_pool(self) -> Result<StringPool, LayoutError> {
        require_addressable(self.all.len(), "texts")?;
        // Copied, because the allocator may shrink in place and then keep up to twice the size.
        Ok(StringPool(Box::from(self.all.as_str())))
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
        let pool = builder.into_pool().unwrap();
        assert_eq!(added.map(|text| pool.get(text)), given);
        assert_eq!(pool.0.len(), "8007仓库80".len());
        assert_eq!(pool.get(StringRef::EMPTY), "");
    }

    #[test]
    fn a_reference_must_lead_to_whole_characters_of_the_pool() {
        let mut builder = StringPoolBuilder::default();
        let added = builder.add("仓库");
        let pool = builder.into_pool().unwrap();
        assert_eq!(pool.require(added), Ok(()));
        let highest = StringRef {
            start: u32::MAX,
            length: u32::MAX,
        };
        for invalid in [
            highest,
            StringRef { start: 1, ..added },
            StringRef { length: 7, ..added },
        ] {
            assert_eq!(
                pool.require(invalid),
                Err(LayoutError::InvalidReference("texts")),
                "{invalid:?}"
            );
        }
    }

    #[test]
    fn a_text_is_found_among_sorted_ones() {
        let mut builder = StringPoolBuilder::default();
        let refs = ["b", "a", "c"].map(|text| builder.add(text));
        let pool = builder.into_pool().unwrap();
        let sorted = [refs[1], refs[0], refs[2]];
        let texts = SortedTexts::new(&sorted, &pool);
        assert!(texts.is_sorted() && texts.contains("b") && !texts.contains("d"));
        assert!(!SortedTexts::new(&refs, &pool).is_sorted());
    }
}
