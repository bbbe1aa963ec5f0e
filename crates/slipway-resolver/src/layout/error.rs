//! Errors of laying out an app, or of reading one from bytes.

use slipway_domain::catalog::field::Invalid;

/// Reason that an app has no valid layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the app has more {0} than a reference can address")]
    TooLarge(&'static str),
    #[error("a reference leads outside of the app's {0}")]
    InvalidReference(&'static str),
    #[error("the {0} are out of order")]
    OutOfOrder(&'static str),
    #[error("the summary of a resource differs from its releases")]
    WrongSummary,
    #[error("an attribute rule cannot be compiled: {0}")]
    Rule(Invalid),
}
