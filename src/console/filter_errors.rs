//! Errors of the filter above a list. The page shows them beside their fields, and no rows.

use actix_web::http::StatusCode;

use super::texts::{Texts, without_name};
use crate::http::problem::{Problem, ProblemCode};

/// Message on a field of a filter.
struct FilterError {
    field: String,
    message: String,
}

/// Errors of a filter; empty if it is valid.
#[derive(Default)]
pub(super) struct FilterErrors(Vec<FilterError>);

impl FilterErrors {
    /// Returns the parsed filter, or its errors. A problem that is about no field has a page of its own.
    pub(super) fn split<T>(t: &Texts, parsed: Result<T, Problem>) -> Result<(Option<T>, Self), Problem> {
        match parsed {
            Ok(filter) => Ok((Some(filter), Self::default())),
            Err(problem) if problem.code() == ProblemCode::InvalidParameter => {
                let errors = problem.field_errors().iter().map(|error| FilterError {
                    field: error.field.clone(),
                    message: t.message(without_name(error)).into_owned(),
                });
                Ok((None, Self(errors.collect())))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Returns the message on a field.
    pub(super) fn get(&self, field: &str) -> Option<&str> {
        let error = self.0.iter().find(|error| error.field == field);
        error.map(|error| error.message.as_str())
    }

    /// Returns the status of the page.
    pub(super) fn status(&self) -> StatusCode {
        if self.0.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}
