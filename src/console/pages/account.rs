//! The person's own account, and the help.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::sign_in::signed_out;
use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::form_view::FormView;
use crate::console::page_error::PageError;
use crate::console::response::html;
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::me;

const PASSWORD: Form = Form {
    key: "password",
    submit: |t| t.change_password,
    explanation: Some(|t| t.change_password_ends_sessions),
    style: Style::Primary,
    fields: &[
        Field::new("current", Kind::Password, |t| t.current_password).required(),
        Field::new("new", Kind::NewPassword, |t| t.new_password)
            .required()
            .hint(|t| t.password_hint),
    ],
};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    s: &'a Shell,
    name: &'a str,
    role: &'static str,
    form: FormView,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None)
}

fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().account);
    let page = AccountPage {
        name: &visit.principal.name,
        role: shell.t.role(visit.principal.role),
        form: shell.forms(attempt).form(&PASSWORD, "/console/account"),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

pub(in crate::console) async fn change_password(form: Submission) -> Result<HttpResponse, PageError> {
    match change(&form).await {
        Ok(()) => signed_out(&form.visit.request, "password_changed"),
        Err(problem) => render(&form.visit, Some(&form.attempt(&PASSWORD, problem)?)),
    }
}

async fn change(form: &Submission) -> Result<(), Problem> {
    let (current, new) = requests::password_change(&PASSWORD.body(&form.input))?;
    let (caller, _permit) = form.begin(false)?;
    Ok(me::change_password(&form.visit.ctx, &caller, current, new).await?)
}

#[derive(Template)]
#[template(path = "help.html")]
struct HelpPage<'a> {
    s: &'a Shell,
}

pub(in crate::console) async fn help(visit: Visit) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(&visit, visit.texts().help);
    html(StatusCode::OK, &HelpPage { s: &shell })
}
