//! The texts of an app that checks compare, side by side: together in memory, and equal ones once.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::read_ahead::read_ahead;

/// Every text, one behind the other.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Texts(Box<str>);

/// Where a text stands. The default is the empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    start: u32,
    length: u32,
}

impl Texts {
    /// `None` for a text that is not there. That is not the empty one, which may mean that nothing was named.
    pub(super) fn get(&self, text: Text) -> Option<&str> {
        let start = text.start as usize;
        self.0.get(start..start + text.length as usize)
    }

    pub(super) fn read_ahead(&self) {
        read_ahead(self.0.as_bytes(), |byte| u32::from(*byte));
    }
}

impl Text {
    /// No text, not even the empty one: it stands behind any that is collected.
    pub(super) const NOWHERE: Self = Self {
        start: u32::MAX,
        length: u32::MAX,
    };

    /// The place of a text in the first 4 GiB; there is none behind.
    fn at(start: usize, length: usize) -> Self {
        let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(length)) else {
            return Self::NOWHERE;
        };
        let fits = start.checked_add(length).is_some();
        if fits {
            Self { start, length }
        } else {
            Self::NOWHERE
        }
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Collects texts, up to 4 GiB of different ones for one app.
#[derive(Default)]
pub(super) struct TextCollector {
    all: String,
    known: HashMap<Box<str>, Text>,
}

impl TextCollector {
    /// [`Text::NOWHERE`] when there is no room for it.
    pub(super) fn add(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let added = Text::at(self.all.len(), text.len());
        if added != Text::NOWHERE {
            self.all.push_str(text);
            self.known.insert(text.into(), added);
        }
        added
    }

    pub(super) fn into_all(self) -> Texts {
        Texts(self.all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_again_and_equal_ones_stand_once() {
        let mut collector = TextCollector::default();
        let given = ["8007", "仓库", "", "8007", "80"];
        let added = given.map(|text| collector.add(text));
        assert_eq!(added[0], added[3]);
        let texts = collector.into_all();
        assert_eq!(added.map(|text| texts.get(text)), given.map(Some));
        assert_eq!(texts.0.len(), "8007仓库80".len());
        assert_eq!(texts.get(Text::default()), Some(""));
    }

    #[test]
    fn a_text_that_is_not_there_is_not_the_empty_one() {
        let mut collector = TextCollector::default();
        let added = collector.add("仓库");
        let texts = collector.into_all();
        let cut = Text { start: 1, ..added };
        for missing in [Text::NOWHERE, cut, Text { length: 7, ..added }] {
            assert_eq!(texts.get(missing), None, "{missing:?}");
            assert!(!missing.is_empty());
        }
    }

    #[test]
    fn texts_have_places_in_the_first_four_gibibytes_alone() {
        let end = u32::MAX as usize;
        assert_ne!(Text::at(end - 4, 4), Text::NOWHERE);
        for (start, length) in [(end - 3, 4), (end, 1), (end + 1, 0), (0, end + 1)] {
            assert_eq!(Text::at(start, length), Text::NOWHERE, "{start} {length}");
        }
    }
}
