//! Form that was sent and not accepted.

use actix_web::http::StatusCode;

use super::input::Input;
use crate::http::problem::Problem;

/// Form that was sent and not accepted.
pub(super) struct Attempt {
    /// Key of the form, and the object that it is about if a page shows several.
    pub(super) form: String,
    pub(super) input: Input,
    pub(super) problem: Problem,
}

impl Attempt {
    pub(super) fn status(&self) -> StatusCode {
        self.problem.code().status()
    }
}
