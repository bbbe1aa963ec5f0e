//! Errors of pages. Their statuses and texts are those of the API's problem documents.

use std::fmt;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::response::{add_page_headers, html, see_other};
use super::shell::Shell;
use super::texts::Texts;
use super::visit::{SignedIn, language_of};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::context;
use crate::services::ServiceError;
use slipway_domain::catalog::language::Language;

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
        let page = request.uri().path_and_query().map_or("/console", |page| page.as_str());
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

/// The page itself is rendered by [`finish`], which knows the language and the person.
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
            Self::SignIn(target) => see_other(target),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    s: &'a Shell,
    detail: &'a str,
    is_unavailable: bool,
    /// Facts of the node that need no database.
    memory: Option<Memory>,
    request_id: String,
}

/// State of the node's catalog in memory.
struct Memory {
    tenants: usize,
    apps: usize,
    releases: usize,
    synced_at: Option<super::format::Moment>,
}

/// Adds the headers of a page, and renders the page of an error.
pub(super) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    let problem = response.response().error().and_then(|error| match error.as_error::<PageError>() {
        Some(PageError::Problem(problem)) => Some(problem.clone()),
        Some(PageError::SignIn(_)) => None,
        // An extractor of the framework failed.
        None => error.as_error::<Problem>().cloned(),
    });
    let mut response = match problem {
        Some(problem) => {
            let page = error_page(response.request(), &problem);
            response.into_response(page).map_into_left_body()
        }
        None => response.map_into_right_body(),
    };
    add_page_headers(response.headers_mut());
    Ok(response)
}

fn error_page(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let signed_in = request.extensions().get::<SignedIn>().cloned();
    let mut shell = Shell::of_anyone(request, language_of(request), signed_in.as_ref());
    shell.title = shell.t.problem_title(problem.code()).to_owned();
    let is_unavailable = problem.code() == ProblemCode::Unavailable;
    // Without the database nobody can be authenticated, so only numbers are shown.
    let memory = is_unavailable.then(|| {
        let status = context(request).catalog().status();
        Memory {
            tenants: status.tenants,
            apps: status.apps,
            releases: status.releases,
            synced_at: status.synced_at.map(super::format::Moment),
        }
    });
    let page = ErrorPage {
        s: &shell,
        detail: problem.detail(),
        is_unavailable,
        memory,
        request_id: crate::http::request::request_id(request),
    };
    respond(problem, page)
}

fn respond(problem: &Problem, page: ErrorPage<'_>) -> HttpResponse {
    let mut response = html(problem.status_code(), &page)
        .unwrap_or_else(|_| HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(seconds) = problem.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response.headers_mut().remove(LOCATION);
    response
}

/// Renders the page of a request that failed outside of its handler.
pub(super) fn failure_page(languages: &str, problem: &Problem) -> HttpResponse {
    let language = Language::preferred(languages).unwrap_or_default();
    let mut shell = Shell::bare(Texts::of(language), language);
    shell.title = shell.t.problem_title(problem.code()).to_owned();
    let page = ErrorPage {
        s: &shell,
        detail: problem.detail(),
        is_unavailable: false,
        memory: None,
        request_id: String::new(),
    };
    let mut response = respond(problem, page);
    add_page_headers(response.headers_mut());
    response
}

/// Answers a path of the console without a page.
pub(super) async fn handle_unrouted() -> Result<HttpResponse, PageError> {
    Err(Problem::not_found().into())
}
