//! Lists in pages. A page begins after the sort key of the last item seen, so rows that come or go meanwhile neither
//! repeat nor hide others.

use std::str::FromStr;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Value};

use super::{Reader, StorageError};

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The most items that the page may hold.
    pub limit: u64,
    /// [`Page::next`] of the page before; absent for the first.
    pub after: Option<String>,
}

/// Some of the items of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; absent when this is the last.
    pub next: Option<String>,
}

/// The column that a list is sorted by. Its values are unique within the list.
pub(super) enum SortBy<Column> {
    Ascending(Column),
    Descending(Column),
}

impl PageRequest {
    /// The first page.
    pub const fn first(limit: u64) -> Self {
        Self { limit, after: None }
    }

    /// Fetches the page of `rows` sorted by one column, whose value `key` reads from a row.
    pub(super) async fn fetch<E, K>(
        &self,
        reader: &impl Reader,
        rows: Select<E>,
        sort_by: SortBy<E::Column>,
        key: impl Fn(&E::Model) -> K,
    ) -> Result<Page<E::Model>, StorageError>
    where
        E: EntityTrait,
        K: FromStr + ToString + Into<Value>,
    {
        let after = self.after.as_deref().map(str::parse::<K>).transpose();
        let after = after.map_err(|_| StorageError::BadCursor)?;
        let rows = match sort_by {
            SortBy::Ascending(column) => rows
                .apply_if(after, |rows, key| rows.filter(column.gt(key)))
                .order_by_asc(column),
            SortBy::Descending(column) => rows
                .apply_if(after, |rows, key| rows.filter(column.lt(key)))
                .order_by_desc(column),
        };
        // One more than asked for shows whether there is a next page.
        let items = rows
            .limit(self.limit.saturating_add(1))
            .all(reader.connection())
            .await?;
        Ok(Page::cut(items, self.limit, key))
    }
}

impl<T> Page<T> {
    fn cut<K: ToString>(mut items: Vec<T>, limit: u64, key: impl Fn(&T) -> K) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items
            .last()
            .filter(|_| has_more)
            .map(|item| key(item).to_string());
        Self { items, next }
    }

    /// The page with every item mapped, or the first error.
    pub(super) fn try_map<U>(
        self,
        map: impl FnMut(T) -> Result<U, StorageError>,
    ) -> Result<Page<U>, StorageError> {
        Ok(Page {
            items: self.items.into_iter().map(map).collect::<Result<_, _>>()?,
            next: self.next,
        })
    }
}
