//! Keys and tokens: of a tenant's devices, SDKs and pipelines, and of the platform. A secret is shown once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::credential_kinds::Shown;
use crate::console::attempt::Attempt;
use crate::console::created::{Created, Secrecy, create};
use crate::console::fields::{Form, Style};
use crate::console::form_view::FormView;
use crate::console::format::Moment;
use crate::console::opened_row::row_href;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::{KeyPath, PlatformTokenPath, TenantPath};
use crate::http::problem::{Problem, ProblemCode};
use crate::services::RequiredPermission;
use crate::services::credentials::{self, IssuedCredential, app_keys};
use crate::services::{Owner as _, ServiceError};
use slipway_domain::access::{Action, ApiToken, AppKey, DeviceKey, Platform, PlatformToken};
use slipway_domain::catalog::ids::{KeyId, TenantId};
use slipway_domain::catalog::versioned::Versioned;

/// Number of rows in a list. A page may have two of them.
const ROWS: u32 = 25;

const ROTATE: Form = Form {
    key: "rotate",
    submit: |t| t.rotate,
    explanation: Some(|t| t.rotate_explanation),
    style: Style::Primary,
    fields: &[],
};

const DELETE: Form = Form {
    key: "delete",
    submit: |t| t.delete_key,
    explanation: Some(|t| t.delete_key_explanation),
    style: Style::Danger,
    fields: &[],
};

#[derive(Template)]
#[template(path = "credentials.html")]
struct CredentialsPage<'a> {
    s: &'a Shell,
    sections: Vec<Section>,
}

struct Section {
    title: &'static str,
    has_public_text: bool,
    has_role: bool,
    rows: Vec<KeyRow>,
    next: Option<String>,
    form: FormView,
}

struct KeyRow {
    id: String,
    name: String,
    role: Option<&'static str>,
    public_text: Option<String>,
    created_at: Moment,
    created_by: String,
    last_used_on: String,
    expires_at: Option<Moment>,
    /// Address of the page with the forms of this row.
    change_href: Option<String>,
    forms: Vec<FormView>,
}

async fn section<K: Shown>(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    owner: K::Owner,
) -> Result<Section, PageError> {
    let found = credentials::list::<K>(
        &visit.ctx,
        &visit.caller(false),
        owner,
        &visit.page_at(K::CURSOR, ROWS)?,
    )
    .await?;
    let base = format!("{}{}", owner_href(owner.tenant()), K::PATH);
    let rows: Vec<_> = found
        .items
        .iter()
        .map(|stored| row(visit, shell, attempt, &base, stored))
        .collect();
    Ok(Section {
        title: (K::TITLE)(shell.t),
        has_role: rows.iter().any(|row| row.role.is_some()),
        has_public_text: rows.iter().any(|row| row.public_text.is_some()),
        rows,
        next: visit.next_page_at(list_of_secrets(&base), K::CURSOR, found.next),
        form: shell.forms(attempt).form(K::FORM, &base).behind(shell.t.new_key),
    })
}

fn owner_href(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(
        || "/console".to_owned(),
        |tenant| format!("/console/tenants/{tenant}"),
    )
}

fn row<K: Shown>(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    base: &str,
    stored: &Versioned<K>,
) -> KeyRow {
    let (key, t, id) = (&stored.value, shell.t, stored.value.id().to_string());
    let facts = Shown::facts(key);
    let change_href = row_href(visit, list_of_secrets(base), attempt, &id);
    KeyRow {
        name: key.title(),
        role: Shown::role(key, t),
        public_text: key.public_text(),
        created_at: Moment(stored.created_at),
        created_by: facts.created_by.clone().unwrap_or_default(),
        last_used_on: facts
            .last_used_on
            .map_or_else(|| t.never.to_owned(), |day| day.to_string()),
        expires_at: facts.expires_at.map(Moment),
        forms: match change_href {
            None => forms_of(shell, attempt, &format!("{base}/{id}"), stored),
            Some(_) => Vec::new(),
        },
        change_href,
        id,
    }
}

fn forms_of<K: Shown>(
    shell: &Shell,
    attempt: Option<&Attempt>,
    path: &str,
    stored: &Versioned<K>,
) -> Vec<FormView> {
    let (t, forms, id) = (shell.t, shell.forms(attempt), stored.value.id().to_string());
    let form = |form: &Form, heading| {
        let action = format!("{path}/{}", form.key);
        let view = forms.form_of(form, &id, action, Vec::new());
        view.etag(&stored.etag).behind(heading)
    };
    let rotate = K::may_rotate().then(|| form(&ROTATE, t.rotate));
    rotate.into_iter().chain([form(&DELETE, t.delete)]).collect()
}

async fn render_keys(
    visit: &Visit,
    tenant: TenantId,
    attempt: Option<&Attempt>,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().keys);
    let sections = vec![
        section::<DeviceKey>(visit, &shell, attempt, tenant).await?,
        section::<AppKey>(visit, &shell, attempt, tenant).await?,
    ];
    respond(&shell, sections, attempt)
}

async fn render_tokens<K: Shown>(
    visit: &Visit,
    owner: K::Owner,
    attempt: Option<&Attempt>,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().tokens);
    let sections = vec![section::<K>(visit, &shell, attempt, owner).await?];
    respond(&shell, sections, attempt)
}

fn respond(
    shell: &Shell,
    sections: Vec<Section>,
    attempt: Option<&Attempt>,
) -> Result<HttpResponse, PageError> {
    let page = CredentialsPage { s: shell, sections };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage<'a> {
    s: &'a Shell,
    name: String,
    public_text: Option<String>,
    secret: String,
    back: String,
}

/// Returns the address of the list that a path below it belongs to: of keys, tokens, or the codes of a device.
pub(in crate::console) fn list_of_secrets(path: &str) -> &str {
    let ends = ["/keys", "/tokens"].map(|end| path.find(end).map(|start| start + end.len()));
    let of_device = path.strip_suffix("/enrolment-code").map(str::len);
    let end = of_device.or_else(|| ends.into_iter().flatten().next());
    &path[..end.unwrap_or(path.len())]
}

/// Shows a new secret. It is stored nowhere, so this page has no address of its own.
fn show_secret<K: Shown>(visit: &Visit, issued: IssuedCredential<K>) -> Result<HttpResponse, PageError> {
    let shell = Shell::of(visit, visit.texts().new_secret);
    let page = SecretPage {
        name: issued.stored.value.title(),
        public_text: issued.stored.value.public_text(),
        secret: issued.secret,
        back: list_of_secrets(visit.request.path()).to_owned(),
        s: &shell,
    };
    html(StatusCode::OK, &page)
}

/// Creates a credential; the error is that of the form.
async fn try_create<K: Shown>(form: &Submission, owner: K::Owner) -> Result<IssuedCredential<K>, Problem> {
    let ctx = &form.visit.ctx;
    let new = <K as Shown>::read_form(&K::FORM.body(&form.input), ctx.now())?;
    let permission = owner.permission(Action::ManageKeys);
    let made = create(
        form,
        permission,
        Secrecy::ShownOnce,
        async |caller, reservation, once| {
            Ok(credentials::create(ctx, &caller, owner, new, once(reservation))
                .await?
                .value)
        },
    );
    issued(made.await?)
}

fn issued<K>(made: Created<IssuedCredential<K>>) -> Result<IssuedCredential<K>, Problem> {
    match made {
        Created::New(issued) => Ok(issued),
        Created::Earlier(id) => Err(ServiceError::SecretAlreadyShown { id }.into()),
    }
}

async fn try_delete<K: Shown>(form: &Submission, owner: K::Owner, id: KeyId) -> Result<(), Problem> {
    let (caller, _permit) = form.begin(true)?;
    credentials::delete::<K>(&form.visit.ctx, &caller, owner, id, &form.precondition()).await?;
    Ok(())
}

pub(in crate::console) async fn list_keys(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    render_keys(&visit, tenant_id, None).await
}

pub(in crate::console) async fn create_app_key(form: Submission) -> Result<HttpResponse, PageError> {
    create_key::<AppKey>(&form).await
}

pub(in crate::console) async fn create_device_key(form: Submission) -> Result<HttpResponse, PageError> {
    create_key::<DeviceKey>(&form).await
}

async fn create_key<K: Shown<Owner = TenantId>>(form: &Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_create::<K>(form, tenant_id).await {
        Ok(issued) => show_secret(&form.visit, issued),
        Err(problem) => render_keys(&form.visit, tenant_id, Some(&form.attempt(K::FORM, problem)?)).await,
    }
}

pub(in crate::console) async fn rotate_app_key(form: Submission) -> Result<HttpResponse, PageError> {
    let KeyPath { tenant_id, id } = form.visit.path()?;
    let (ctx, condition) = (&form.visit.ctx, form.precondition());
    let permission = RequiredPermission::in_tenant(tenant_id, Action::ManageKeys);
    let made = create(
        &form,
        permission,
        Secrecy::ShownOnce,
        async |caller, reservation, once| {
            let rotated = app_keys::rotate(ctx, &caller, tenant_id, id, &condition, once(reservation));
            Ok(rotated.await?.value)
        },
    );
    match made.await.and_then(issued) {
        Ok(issued) => show_secret(&form.visit, issued),
        Err(problem) => {
            let attempt = form.attempt_on(&ROTATE, &id.to_string(), problem)?;
            render_keys(&form.visit, tenant_id, Some(&attempt)).await
        }
    }
}

pub(in crate::console) async fn delete_app_key(form: Submission) -> Result<HttpResponse, PageError> {
    delete_key::<AppKey>(&form).await
}

pub(in crate::console) async fn delete_device_key(form: Submission) -> Result<HttpResponse, PageError> {
    delete_key::<DeviceKey>(&form).await
}

async fn delete_key<K: Shown<Owner = TenantId>>(form: &Submission) -> Result<HttpResponse, PageError> {
    let KeyPath { tenant_id, id } = form.visit.path()?;
    match try_delete::<K>(form, tenant_id, id).await {
        Ok(()) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/keys?done=deleted"
        ))),
        Err(problem) => {
            let attempt = form.attempt_on(&DELETE, &id.to_string(), problem)?;
            render_keys(&form.visit, tenant_id, Some(&attempt)).await
        }
    }
}

pub(in crate::console) async fn list_tokens(visit: Visit) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    render_tokens::<ApiToken>(&visit, tenant_id, None).await
}

pub(in crate::console) async fn create_token(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    create_token_of::<ApiToken>(&form, tenant_id).await
}

pub(in crate::console) async fn delete_token(form: Submission) -> Result<HttpResponse, PageError> {
    let KeyPath { tenant_id, id } = form.visit.path()?;
    delete_token_of::<ApiToken>(&form, tenant_id, id).await
}

pub(in crate::console) async fn list_platform_tokens(visit: Visit) -> Result<HttpResponse, PageError> {
    render_tokens::<PlatformToken>(&visit, Platform, None).await
}

pub(in crate::console) async fn create_platform_token(form: Submission) -> Result<HttpResponse, PageError> {
    create_token_of::<PlatformToken>(&form, Platform).await
}

pub(in crate::console) async fn delete_platform_token(form: Submission) -> Result<HttpResponse, PageError> {
    let PlatformTokenPath { id } = form.visit.path()?;
    delete_token_of::<PlatformToken>(&form, Platform, id).await
}

async fn create_token_of<K: Shown>(form: &Submission, owner: K::Owner) -> Result<HttpResponse, PageError> {
    match try_create::<K>(form, owner).await {
        Ok(issued) => show_secret(&form.visit, issued),
        Err(problem) if problem.code() == ProblemCode::SecretAlreadyShown => Err(problem.into()),
        Err(problem) => render_tokens::<K>(&form.visit, owner, Some(&form.attempt(K::FORM, problem)?)).await,
    }
}

async fn delete_token_of<K: Shown>(
    form: &Submission,
    owner: K::Owner,
    id: KeyId,
) -> Result<HttpResponse, PageError> {
    match try_delete::<K>(form, owner, id).await {
        Ok(()) => Ok(see_other(&format!(
            "{}/tokens?done=deleted",
            owner_href(owner.tenant())
        ))),
        Err(problem) => {
            let attempt = form.attempt_on(&DELETE, &id.to_string(), problem)?;
            render_tokens::<K>(&form.visit, owner, Some(&attempt)).await
        }
    }
}
