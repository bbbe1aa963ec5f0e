//! Problem of a form that its page does not show any more, because the object has another state now.

use std::cell::{Cell, RefCell};

use super::attempt::Attempt;
use super::texts::Texts;
use crate::http::problem::ProblemCode;

/// Problem of the last attempt until a form of the page shows it. The page shows the rest at its top.
#[derive(Default)]
pub(super) struct MissingForm {
    text: RefCell<Option<String>>,
    /// `true` once a form of the page shows the problem.
    is_shown: Cell<bool>,
}

impl MissingForm {
    /// Keeps the problem of an attempt.
    pub(super) fn expect(&self, t: &Texts, attempt: &Attempt) {
        if self.is_shown.get() || self.text.borrow().is_some() {
            return;
        }
        let problem = &attempt.problem;
        let text = if problem.code() == ProblemCode::Stale {
            t.not_done_changed.to_owned()
        } else {
            format!("{} {}", t.not_done, t.detail(problem))
        };
        self.text.replace(Some(text));
    }

    /// Replaces the text, if no form shows the problem.
    pub(super) fn explain(&self, text: String) {
        if self.text.borrow().is_some() {
            self.text.replace(Some(text));
        }
    }

    pub(super) fn set_shown(&self) {
        self.is_shown.set(true);
        self.text.take();
    }

    /// Returns the text for the top of the page.
    pub(super) fn text(&self) -> Option<String> {
        self.text.borrow().clone()
    }
}
