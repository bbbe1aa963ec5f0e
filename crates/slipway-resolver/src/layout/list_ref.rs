//! References to parts of a list.

use serde::{Deserialize, Serialize};

use super::error::LayoutError;

/// Reference to a part of a list, half as large as a range of `usize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListRef {
    start: u32,
    end: u32,
}

impl ListRef {
    pub(super) const EMPTY: Self = Self { start: 0, end: 0 };

    /// Appends items to a list and returns their part.
    pub(super) fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let start = index(list.len());
        list.extend(items);
        Self {
            start,
            end: index(list.len()),
        }
    }

    /// Extends the part by the item with this index, which must follow the last one.
    pub(super) fn grow_to(&mut self, index: u32) {
        if self.start == self.end {
            self.start = index;
        }
        self.end = index.saturating_add(1);
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    /// Returns the items of the part, which the list must contain.
    pub(super) fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.start as usize..self.end as usize]
    }

    /// Requires that the list contains the part.
    pub(super) fn require_within<T>(self, list: &[T], name: &'static str) -> Result<(), LayoutError> {
        let is_within = list.get(self.start as usize..self.end as usize).is_some();
        is_within.then_some(()).ok_or(LayoutError::InvalidReference(name))
    }
}

/// Converts an index. Indexes above 2^32 become the highest; [`addressable`] then refuses their list.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns a list in its final form, unless references cannot address all of it.
pub(super) fn addressable<T>(list: Vec<T>, name: &'static str) -> Result<Box<[T]>, LayoutError> {
    require_addressable(list.len(), name)?;
    Ok(exact(list))
}

/// Moves a list into an allocation of its size. Allocators may shrink in place, and then keep up to twice the size.
pub(super) fn exact<T>(mut list: Vec<T>) -> Box<[T]> {
    if list.len() < list.capacity() {
        let mut copy = Vec::with_capacity(list.len());
        copy.append(&mut list);
        list = copy;
    }
    list.into()
}

/// Requires that an index exists for each of `length` items and for the end. The highest number is not an index.
pub(super) fn require_addressable(length: usize, name: &'static str) -> Result<(), LayoutError> {
    if index(length) < u32::MAX {
        Ok(())
    } else {
        Err(LayoutError::TooLarge(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_in_the_list_that_has_it_and_in_no_shorter_one() {
        let mut list = vec!['a'];
        let list_ref = ListRef::append(&mut list, ['b', 'c']);
        assert_eq!(list_ref.of(&list), ['b', 'c']);
        assert_eq!(list_ref.require_within(&list, "letters"), Ok(()));
        assert!(list_ref.require_within(&list[..2], "letters").is_err());
        assert_eq!(ListRef::EMPTY.require_within(&list[..0], "letters"), Ok(()));
        let backwards = ListRef { start: 1, end: 0 };
        assert!(backwards.require_within(&list, "letters").is_err());
    }

    #[test]
    fn lists_of_fewer_than_two_to_the_32_items_are_addressable() {
        let most = u32::MAX as usize - 1;
        assert_eq!(require_addressable(most, "letters"), Ok(()));
        for length in [most + 1, most + 2, usize::MAX] {
            assert_eq!(
                require_addressable(length, "letters"),
                Err(LayoutError::TooLarge("letters"))
            );
        }
    }
}
