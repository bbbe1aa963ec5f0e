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
    /// Returns `true` for a form of this object, among several objects of a page.
    pub(super) fn is_about(&self, object: &str) -> bool {
        self.form
            .strip_suffix(object)
            .is_some_and(|key| key.ends_with('-'))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.problem.code().status()
    }
}
