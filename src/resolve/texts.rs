//! The texts of an app that checks compare, side by side: together in memory, and equal ones once.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::span::index;

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
    pub(super) fn get(&self, text: Text) -> &str {
        let start = text.start as usize;
        self.0
            .get(start..start + text.length as usize)
            .unwrap_or_default()
    }
}

impl Text {
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Collects texts. More than 4 GiB of different ones would need rows of that size for one app.
#[derive(Default)]
pub(super) struct TextCollector {
    all: String,
    known: HashMap<Box<str>, Text>,
}

impl TextCollector {
    pub(super) fn add(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let added = Text {
            start: index(self.all.len()),
            length: index(text.len()),
        };
        self.all.push_str(text);
        self.known.insert(text.into(), added);
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
        assert_eq!(added.map(|text| texts.get(text)), given);
        assert_eq!(texts.0.len(), "8007仓库80".len());
        assert_eq!(texts.get(Text::default()), "");
    }
}
