//! Errors of pages. Their statuses and texts are those of the API's problem documents.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::http::problem::Problem;
use crate::services::ServiceError;

#[derive(Debug)]
pub(super) enum PageError {
    Problem(Problem),
    /// The person must sign in; afterwards the page is shown.
    SignIn(String),
}

impl PageError {
    /// Asks to sign in and to return to the requested page. A form is not sent again.
    pub(super) fn sign_in(request: &HttpRequest) -> Self {
        let mut target = "/console/sign-in".to_owned();
        let page = request
            .uri()
            .path_and_query()
            .map_or("/console", |page| page.as_str());
        if request.method().is_safe() && page != "/console" {
            target.push_str("?return=");
            target.extend(url::form_urlencoded::byte_serialize(page.as_bytes()));
        }
        Self::SignIn(target)
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        Self::Problem(ServiceError::internal(std::io::Error::other(error)).into())
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::SignIn(target) => f.write_str(target),
        }
    }
}

impl std::error::Error for PageError {}

/// The page itself is rendered by [`super::error_pages`], which knows the language and the person.
impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Problem(problem) => problem.status_code(),
            Self::SignIn(_) => StatusCode::SEE_OTHER,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Problem(problem) => HttpResponse::new(problem.status_code()),
            Self::SignIn(target) => HttpResponse::SeeOther()
                .insert_header((LOCATION, target.as_str()))
                .finish(),
        }
    }
}
