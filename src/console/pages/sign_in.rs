//! Signing in and out, and the choice of the language.

use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::input::Input;
use crate::console::kept_form::{KEPT, KEPT_ACTION, KeptForm, KeptFormView};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::session::{self, safe_path};
use crate::console::shell::Shell;
use crate::console::submission::{Submission, read_public};
use crate::console::visit::{SignedIn, language_of, query_param};
use crate::http::client_address::client_address;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::request::{acquire, context};
use crate::secrets::{form_token, new_visitor_cookie};
use crate::services::PermitClass;
use crate::services::authentication::{self, Client, authenticate_cookie, open_console};
use slipway_domain::catalog::language::Language;

const SIGN_IN: Form = Form {
    key: "sign-in",
    submit: |t| t.sign_in,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("username", Kind::Username, |t| t.username).required(),
        Field::new("password", Kind::Password, |t| t.password).required(),
        Field::new("return", Kind::Hidden, |t| t.sign_in),
        Field::new(KEPT, Kind::Hidden, |t| t.sign_in),
        Field::new(KEPT_ACTION, Kind::Hidden, |t| t.sign_in),
    ],
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    s: &'a Shell,
    form: FormView,
    /// The form carries the input of another form.
    has_kept_input: bool,
}

/// Page after a sign-in whose form carried the input of another form.
#[derive(Template)]
#[template(path = "kept.html")]
struct KeptPage<'a> {
    s: &'a Shell,
    kept: KeptFormView,
}

/// Shows the form, or the overview to those who are signed in.
pub(in crate::console) async fn show(request: HttpRequest) -> Result<HttpResponse, PageError> {
    let ctx = context(&request);
    if let Some(cookie) = session::session_of(&request)
        && authenticate_cookie(&ctx, false, &cookie).await.is_ok()
    {
        return Ok(see_other(continue_at(query_param(&request, "return").as_deref())));
    }
    render(&request, None, None)
}

/// Asks a person to sign in whose session ended while a form was filled in. The form is sent again afterwards.
pub(in crate::console) fn page_with_input(
    request: &HttpRequest,
    kept: KeptForm,
) -> Result<HttpResponse, PageError> {
    render(request, None, Some(&kept))
}

fn render(
    request: &HttpRequest,
    attempt: Option<&Attempt>,
    kept: Option<&KeptForm>,
) -> Result<HttpResponse, PageError> {
    let ctx = context(request);
    let known = session::visitor_of(request);
    let visitor = known.clone().unwrap_or_else(new_visitor_cookie);
    let mut shell = Shell::of_anyone(request, language_of(request), None);
    shell.title = shell.t.sign_in.to_owned();
    shell.form_token = form_token(ctx.keyring(), &visitor);
    let back = query_param(request, "return").unwrap_or_default();
    let mut values = vec![("return", back)];
    values.extend(kept.into_iter().flat_map(KeptForm::sign_in_values));
    let form = shell
        .forms(attempt)
        .form_of(&SIGN_IN, "", "/console/sign-in", values);
    let status = match (attempt, kept) {
        (Some(attempt), _) => attempt.status(),
        (None, Some(_)) => StatusCode::UNAUTHORIZED,
        (None, None) => StatusCode::OK,
    };
    let page = SignInPage {
        has_kept_input: kept.is_some() || attempt.is_some_and(|attempt| !attempt.input.get(KEPT).is_empty()),
        s: &shell,
        form,
    };
    let mut response = html(status, &page)?;
    if known.is_none() {
        add_cookie(&mut response, &session::visitor_cookie(request, visitor))?;
    }
    Ok(response)
}

fn add_cookie(response: &mut HttpResponse, cookie: &actix_web::cookie::Cookie<'_>) -> Result<(), PageError> {
    let added = response.add_cookie(cookie);
    added.map_err(|_| Problem::internal().into())
}

pub(in crate::console) async fn sign_in(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let input = read_public(&request, payload).await?;
    match open(&request, &input).await {
        Ok(session) => {
            let mut response = match KeptForm::in_sign_in(&input) {
                Some(kept) => show_kept(&request, &session, kept).await?,
                None => see_other(continue_at(Some(input.get("return")))),
            };
            add_cookie(&mut response, &session::session_cookie(&request, session))?;
            Ok(response)
        }
        Err(problem) if problem.code() == ProblemCode::Unavailable => {
            KeptForm::keep(&request, &input);
            Err(problem.into())
        }
        Err(problem) => {
            let form = SIGN_IN.key.to_owned();
            render(&request, Some(&Attempt { form, input, problem }), None)
        }
    }
}

/// Shows the input of the form that was sent when the session had ended, with the token of the new session.
async fn show_kept(request: &HttpRequest, cookie: &str, kept: KeptForm) -> Result<HttpResponse, PageError> {
    let ctx = context(request);
    let signed_in = SignedIn {
        principal: authenticate_cookie(&ctx, false, cookie).await?.principal,
        form_token: form_token(ctx.keyring(), cookie),
    };
    let mut shell = Shell::of_anyone(request, language_of(request), Some(&signed_in));
    shell.title = shell.t.signed_in_again.to_owned();
    match kept.view(shell.t, &shell.form_token) {
        Some(kept) => html(StatusCode::OK, &KeptPage { s: &shell, kept }),
        None => Ok(see_other("/console")),
    }
}

/// Verifies the password under the same limits as the API. Every sign-in starts a new session.
async fn open(request: &HttpRequest, input: &Input) -> Result<String, Problem> {
    session::require_private_connection(request)?;
    let ctx = context(request);
    let address = client_address(request);
    let _permit = acquire(&ctx, PermitClass::Login(address))?;
    let user_agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|text| text.to_str().ok());
    let client = Client {
        address,
        user_agent: user_agent.unwrap_or_default(),
    };
    let (username, password) = (input.get("username"), input.get("password").to_owned());
    Ok(open_console(&ctx, client, username, password).await?)
}

fn continue_at(path: Option<&str>) -> &str {
    path.and_then(safe_path).unwrap_or("/console")
}

/// Ends the session on every node.
pub(in crate::console) async fn sign_out(form: Submission) -> Result<HttpResponse, PageError> {
    let (caller, _permit) = form.begin(true)?;
    authentication::logout(&form.visit.ctx, &caller).await?;
    signed_out(&form.visit.request, "signed_out")
}

/// Leads to the form with a notice, without the cookie.
pub(in crate::console) fn signed_out(request: &HttpRequest, notice: &str) -> Result<HttpResponse, PageError> {
    let mut response = see_other(&format!("/console/sign-in?done={notice}"));
    add_cookie(&mut response, &session::ended_session_cookie(request))?;
    Ok(response)
}

pub(in crate::console) async fn choose_language(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let input = read_public(&request, payload).await?;
    let language = Language::of_tag(input.get("language")).unwrap_or_default();
    let mut response = see_other(continue_at(Some(input.get("return"))));
    add_cookie(&mut response, &session::language_cookie(&request, language.tag()))?;
    Ok(response)
}
