//! Lists in pages, bounded by rows and by bytes.
//!
//! A page begins after the sort key of the last item seen. Rows that are inserted or deleted meanwhile neither repeat
//! nor hide others.

use std::str::FromStr;

use sea_orm::{
    ColumnTrait, EntityTrait, Iterable, ModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    TryGetable, Value,
};

use super::{Reader, StorageError};
use slipway_domain::catalog::page::{Page, PageRequest};

/// Size at which a page ends early, in bytes. A page contains at least one row.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Number of possibly large rows in memory in addition to the rows of the page.
const LARGE_ROWS_AT_ONCE: usize = 8;

/// Sort column of a list. Its values are unique within the list.
pub(super) enum SortBy<Column> {
    Ascending(Column),
    Descending(Column),
}

/// Fetches the page of `rows`, sorted by one column whose value `key` reads from a row.
///
/// The rows are read at once, so each must be small.
pub(super) async fn fetch_page<E, K>(
    page: &PageRequest,
    reader: &impl Reader,
    rows: Select<E>,
    sort_by: SortBy<E::Column>,
    key: impl Fn(&E::Model) -> K,
) -> Result<Page<E::Model>, StorageError>
where
    E: EntityTrait,
    K: FromStr + ToString + Into<Value>,
{
    fetch_in_pieces(page, reader, rows, sort_by, u64::MAX, key).await
}

/// Fetches a page of possibly large rows that are costly to find: first the keys of `found`, then the rows of `all` with
/// these keys, a few at a time.
pub(super) async fn fetch_found_page<E, K>(
    page: &PageRequest,
    reader: &impl Reader,
    found: Select<E>,
    all: Select<E>,
    sort_by: SortBy<E::Column>,
    key: impl Fn(&E::Model) -> K,
) -> Result<Page<E::Model>, StorageError>
where
    E: EntityTrait,
    K: FromStr + ToString + Into<Value> + TryGetable + Clone,
{
    let after = parse_cursor::<K>(page)?;
    let sort_column = sort_by.column();
    let keys: Vec<K> = sort_by
        .after(found, after)
        .limit(page.limit.saturating_add(1))
        .select_only()
        .column(sort_column)
        .into_tuple()
        .all(reader.connection())
        .await?;
    let mut built = PageBuilder::new(page.limit);
    for keys in keys.chunks(LARGE_ROWS_AT_ONCE) {
        let rows = all.clone().filter(sort_column.is_in(keys.to_vec()));
        let rows = sort_by.after(rows, None::<K>).all(reader.connection()).await?;
        for row in rows {
            if !built.try_push::<E>(row) {
                return Ok(built.into_page(key));
            }
        }
    }
    // A row of the page may have been deleted meanwhile.
    let has_more = keys.len() as u64 > page.limit;
    Ok(if has_more {
        built.into_page(key)
    } else {
        built.into_last_page()
    })
}

/// Fetches a page of possibly large rows, a few at a time.
pub(super) async fn fetch_large_page<E, K>(
    page: &PageRequest,
    reader: &impl Reader,
    rows: Select<E>,
    sort_by: SortBy<E::Column>,
    key: impl Fn(&E::Model) -> K,
) -> Result<Page<E::Model>, StorageError>
where
    E: EntityTrait,
    K: FromStr + ToString + Into<Value>,
{
    fetch_in_pieces(page, reader, rows, sort_by, LARGE_ROWS_AT_ONCE as u64, key).await
}

async fn fetch_in_pieces<E, K>(
    page: &PageRequest,
    reader: &impl Reader,
    rows: Select<E>,
    sort_by: SortBy<E::Column>,
    at_once: u64,
    key: impl Fn(&E::Model) -> K,
) -> Result<Page<E::Model>, StorageError>
where
    E: EntityTrait,
    K: FromStr + ToString + Into<Value>,
{
    let mut after = parse_cursor::<K>(page)?;
    let mut built = PageBuilder::new(page.limit);
    loop {
        // One row more than the page may hold shows whether there is a next page.
        let requested = built.remaining().saturating_add(1).min(at_once);
        let piece = sort_by
            .after(rows.clone(), after)
            .limit(requested)
            .all(reader.connection())
            .await?;
        let is_last = (piece.len() as u64) < requested;
        for row in piece {
            if !built.try_push::<E>(row) {
                return Ok(built.into_page(key));
            }
        }
        if is_last {
            return Ok(built.into_last_page());
        }
        after = built.items.last().map(&key);
    }
}

fn parse_cursor<K: FromStr>(page: &PageRequest) -> Result<Option<K>, StorageError> {
    let after = page.after.as_deref().map(str::parse).transpose();
    after.map_err(|_| StorageError::BadCursor)
}

impl<Column: ColumnTrait> SortBy<Column> {
    const fn column(&self) -> Column {
        match self {
            Self::Ascending(column) | Self::Descending(column) => *column,
        }
    }

    /// Selects the rows after this key, or all, in order.
    fn after<E: EntityTrait>(&self, rows: Select<E>, after: Option<impl Into<Value>>) -> Select<E> {
        match self {
            Self::Ascending(column) => rows
                .apply_if(after, |rows, key| rows.filter(column.gt(key)))
                .order_by_asc(*column),
            Self::Descending(column) => rows
                .apply_if(after, |rows, key| rows.filter(column.lt(key)))
                .order_by_desc(*column),
        }
    }
}

/// Page under construction.
struct PageBuilder<T> {
    items: Vec<T>,
    bytes: usize,
    limit: u64,
}

impl<T> PageBuilder<T> {
    fn new(limit: u64) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    /// Returns the number of rows that the page can still hold.
    fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.items.len() as u64)
    }

    /// Adds a row. Returns `false` if the page is full.
    fn try_push<E: EntityTrait<Model = T>>(&mut self, row: T) -> bool
    where
        T: ModelTrait<Entity = E>,
    {
        self.bytes = self.bytes.saturating_add(text_bytes::<E>(&row));
        let is_full = self.remaining() == 0 || (self.bytes > MAX_PAGE_BYTES && !self.items.is_empty());
        if !is_full {
            self.items.push(row);
        }
        !is_full
    }

    fn into_last_page(self) -> Page<T> {
        Page {
            items: self.items,
            next: None,
        }
    }

    fn into_page<K: ToString>(self, key: impl Fn(&T) -> K) -> Page<T> {
        let next = self.items.last().map(|item| key(item).to_string());
        Page {
            items: self.items,
            next,
        }
    }
}

/// Returns the size of a row's texts in bytes; the other columns are small.
fn text_bytes<E: EntityTrait>(row: &E::Model) -> usize {
    let length = |column| match row.get(column) {
        Value::String(Some(text)) => text.len(),
        _ => 0,
    };
    E::Column::iter().map(length).sum()
}
