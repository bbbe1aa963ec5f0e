//! Which part of a list belongs to something.

use serde::{Deserialize, Serialize};

/// A part of a list, half as large as a range of `usize`. The default is no part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Appends items to a list and tells where they stand. More than 2^32 of them would not fit in memory.
    pub(super) fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let start = index(list.len());
        list.extend(items);
        Self {
            start,
            end: index(list.len()),
        }
    }

    /// Takes in the item with this index, which follows the last one.
    pub(super) fn grow_to(&mut self, index: u32) {
        if self.is_empty() {
            self.start = index;
        }
        self.end = index + 1;
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The part of the list that it was made for.
    pub(super) fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// An index, which is below 2^32 for whatever fits in memory.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
