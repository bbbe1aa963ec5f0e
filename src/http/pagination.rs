//! Cursor pagination of lists.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::page::{Page, PageRequest};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 200;

/// Pagination of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Maximum number of items, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200, value_type = Option<u32>)]
    pub(super) limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    pub(super) cursor: Option<String>,
}

/// Parses the pagination parameters.
pub(crate) fn page_request(limit: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = limit.map_or(Some(DEFAULT_LIMIT), |limit| limit.parse().ok());
    let limit = limit
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| invalid("limit", format!("must be an integer from 1 to {MAX_LIMIT}")))?;
    let after = cursor
        .map(|cursor| {
            URL_SAFE_NO_PAD
                .decode(cursor)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                // No sort key contains a control character, and PostgreSQL rejects NUL.
                .filter(|key| !key.is_empty() && !key.contains(char::is_control))
                .ok_or_else(|| invalid("cursor", "must be a next_cursor returned by this list".to_owned()))
        })
        .transpose()?;
    Ok(PageRequest { limit, after })
}

/// Encodes the sort key of a page's last item.
pub(crate) fn cursor_of(key: String) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn invalid(field: &str, message: String) -> Problem {
    Problem::invalid(vec![FieldError::invalid(field, message)])
}

/// Page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageResponse<T> {
    pub(super) items: Vec<T>,
    /// `cursor` of the next page; null on the last page.
    #[schema(required = true)]
    pub(super) next_cursor: Option<String>,
}

impl<T> PageResponse<T> {
    pub(super) fn new<S>(page: Page<S>, item: impl FnMut(S) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(item).collect(),
            next_cursor: page.next.map(cursor_of),
        }
    }
}
