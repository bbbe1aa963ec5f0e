//! Which part of a list belongs to something.

use serde::{Deserialize, Serialize};

/// A part of a list, half as large as a range of `usize`. The default is a part with nothing in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// A part of no list.
    pub(super) const NOWHERE: Self = Self { start: 1, end: 0 };

    /// Appends items to a list and tells where they stand.
    pub(super) fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let start = list.len();
        list.extend(items);
        Self::between(start, list.len())
    }

    /// More than 2^32 items would not fit in memory; were they to, such a part is not found rather than empty.
    fn between(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::NOWHERE,
        }
    }

    /// Takes in the item with this index, which follows the last one.
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

    /// The part of the list that it was made for. `None` when the list does not have it: that is not an empty part,
    /// which may mean everybody.
    pub(super) fn of<T>(self, list: &[T]) -> Option<&[T]> {
        list.get(self.start as usize..self.end as usize)
    }
}

/// An index, which is below 2^32 for whatever fits in memory.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_a_list_does_not_have_is_not_empty() {
        let mut list = vec!['a'];
        let span = Span::append(&mut list, ['b', 'c']);
        assert_eq!(span.of(&list), Some(['b', 'c'].as_slice()));
        assert_eq!(Span::default().of(&list), Some([].as_slice()));
        for span in [span, Span::NOWHERE, Span::between(0, usize::MAX)] {
            assert_eq!(span.of(&list[..2]), None, "{span:?}");
            assert!(!span.is_empty(), "{span:?}");
        }
    }
}
