//! Pages of errors.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::format::Moment;
use super::kept_form::{KeptForm, KeptFormView};
use super::memory_view::MemoryView;
use super::page_error::PageError;
use super::pages::credentials::list_of_secrets;
use super::pages::sign_in;
use super::response::{add_page_headers, html};
use super::sent_form::answer_of_first_sending;
use super::shell::Shell;
use super::texts::Texts;
use super::visit::{SignedIn, language_of};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::{context, request_id};
use slipway_domain::catalog::language::Language;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    s: &'a Shell,
    detail: String,
    /// List of the credentials, if the page is about the secret of one.
    list: Option<&'a str>,
    is_unavailable: bool,
    /// Form that the request sent.
    kept: Option<KeptFormView>,
    /// Facts of the node that need no database.
    memory: Option<Memory>,
    /// Content of the page from memory, for a person whose session is known.
    from_memory: Option<MemoryView>,
    request_id: String,
}

/// State of the node's catalog in memory.
struct Memory {
    tenants: usize,
    apps: usize,
    releases: usize,
    synced_at: Option<Moment>,
}

/// Adds the headers of a page, answers a repeated form like its first sending, and renders the page of an error.
pub(super) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    let page = match answer_of_first_sending(&response).await {
        Some(answer) => Some(answer),
        None => page_of_failure(&response),
    };
    let mut response = match page {
        Some(page) => response.into_response(page).map_into_left_body(),
        None => response.map_into_right_body(),
    };
    add_page_headers(response.headers_mut());
    Ok(response)
}

/// Returns the page of a failed request. `None` if the response is complete.
fn page_of_failure<B>(response: &ServiceResponse<B>) -> Option<HttpResponse> {
    let request = response.request();
    let error = response.response().error()?;
    match error.as_error::<PageError>() {
        Some(PageError::Problem(problem)) => Some(error_page(request, problem)),
        Some(PageError::SignIn(_)) => sign_in::page_with_input(request, KeptForm::in_request(request)?).ok(),
        // An extractor of the framework failed.
        None => error
            .as_error::<Problem>()
            .map(|problem| error_page(request, problem)),
    }
}

fn error_page(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let signed_in = request.extensions().get::<SignedIn>().cloned();
    let mut shell = Shell::of_anyone(request, language_of(request), signed_in.as_ref());
    shell.title = shell.t.problem_title(problem.code()).to_owned();
    let is_unavailable = problem.code() == ProblemCode::Unavailable;
    // Anyone may see the numbers.
    let memory = is_unavailable.then(|| {
        let status = context(request).catalog().status();
        Memory {
            tenants: status.tenants,
            apps: status.apps,
            releases: status.releases,
            synced_at: status.synced_at.map(Moment),
        }
    });
    let person = signed_in.filter(|_| is_unavailable);
    let page = ErrorPage {
        from_memory: person.and_then(|person| MemoryView::of(request, &shell, person.principal)),
        kept: kept_form(request, &shell, problem),
        s: &shell,
        detail: shell.t.detail(problem),
        list: list_for(request, problem),
        is_unavailable,
        memory,
        request_id: request_id(request),
    };
    respond(problem, page)
}

/// Returns the form that the request sent, unless it has created its object already.
fn kept_form(request: &HttpRequest, shell: &Shell, problem: &Problem) -> Option<KeptFormView> {
    let kept = KeptForm::in_request(request).filter(|_| problem.code() != ProblemCode::SecretAlreadyShown);
    kept?.view(shell.t, &shell.form_token)
}

fn list_for<'a>(request: &'a HttpRequest, problem: &Problem) -> Option<&'a str> {
    (problem.code() == ProblemCode::SecretAlreadyShown).then(|| list_of_secrets(request.path()))
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
        detail: shell.t.detail(problem),
        list: None,
        is_unavailable: false,
        kept: None,
        memory: None,
        from_memory: None,
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
