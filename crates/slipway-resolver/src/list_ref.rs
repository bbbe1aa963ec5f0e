//! References to parts of a list.

use serde::{Deserialize, Serialize};

/// Reference to a part of a list, half as large as a range of `usize`. The default is an empty part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListRef {
    start: u32,
    end: u32,
}

impl ListRef {
    /// Invalid part, which no list contains.
    pub(super) const INVALID: Self = Self { start: 1, end: 0 };

    /// Appends items to a list and returns their part.
    pub(super) fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let start = list.len();
        list.extend(items);
        Self::between(start, list.len())
    }

    /// Returns the part between two indexes. Indexes above 2^32, which do not fit in memory, yield an invalid part
    /// rather than an empty one.
    fn between(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::INVALID,
        }
    }

    /// Extends the part by the item with this index, which must follow the last one.
    pub(super) fn grow_to(&mut self, index: u32) {
        if self.is_empty() {
            self.start = index;
        }
        self.end = index.saturating_add(1);
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the items of the part, or `None` if the list does not contain it. A missing part differs from an empty
    /// one, which may mean everybody.
    pub(super) fn of<T>(self, list: &[T]) -> Option<&[T]> {
        list.get(self.start as usize..self.end as usize)
    }
}

/// Converts an index, which is below 2^32 for anything that fits in memory.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_a_list_does_not_have_is_not_empty() {
        let mut list = vec!['a'];
        let list_ref = ListRef::append(&mut list, ['b', 'c']);
        assert_eq!(list_ref.of(&list), Some(['b', 'c'].as_slice()));
        assert_eq!(ListRef::default().of(&list), Some([].as_slice()));
        for list_ref in [list_ref, ListRef::INVALID, ListRef::between(0, usize::MAX)] {
            assert_eq!(list_ref.of(&list[..2]), None, "{list_ref:?}");
            assert!(!list_ref.is_empty(), "{list_ref:?}");
        }
    }
}
