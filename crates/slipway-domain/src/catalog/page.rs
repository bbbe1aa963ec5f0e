//! Pages of a list.

/// Request for one page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Maximum number of items.
    pub limit: u64,
    /// [`Page::next`] of the previous page; absent for the first page.
    pub after: Option<String>,
}

/// Part of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Cursor of the next page; absent on the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Returns a page without items.
    pub const fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }
}

impl PageRequest {
    /// Returns a request for the first page.
    pub const fn first(limit: u64) -> Self {
        Self { limit, after: None }
    }
}

impl<T> Page<T> {
    /// Maps every item, or returns the first error.
    pub fn try_map<U, E>(self, map: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.into_iter().map(map).collect::<Result<_, _>>()?,
            next: self.next,
        })
    }
}
