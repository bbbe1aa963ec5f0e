//! Error formatting for the log.

use std::error::Error;

/// Formats an error and its chain of sources in one line.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (**error).source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
