//! Row of a long list whose forms are shown. Those of all rows would make the page large.

use super::attempt::Attempt;
use super::visit::Visit;

/// Query parameter with the object of the opened row.
const OPENED: &str = "change";

/// Returns the address that opens the row of an object in a list; `None` for the row that is open. An attempt opens the
/// row of its object.
pub(super) fn row_href(visit: &Visit, list: &str, attempt: Option<&Attempt>, object: &str) -> Option<String> {
    let is_open = match attempt {
        Some(attempt) => attempt.is_about(object),
        None => visit.param(OPENED).as_deref() == Some(object),
    };
    (!is_open).then(|| {
        let query = visit.query_with(OPENED, object);
        format!("{list}?{query}#{object}")
    })
}
