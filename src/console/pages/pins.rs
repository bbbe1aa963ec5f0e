//! Pins of a tenant.

use actix_web::HttpResponse;
use askama::Template;

use super::existing_pin;
use super::pin_words::{ON_DEVICE, ON_NODE, mode_in_words, target_in_words};
use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::filter_errors::FilterErrors;
use crate::console::form_view::FormView;
use crate::console::format::Moment;
use crate::console::opened_row::row_href;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::texts::Texts;
use crate::console::unknown_nodes::unknown_nodes;
use crate::console::visit::Visit;
use crate::http::path::{PinPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::requests::{self, PinsQuery};
use crate::services::Precondition;
use crate::services::pins::{self, NamedPin, PinSelection};
use slipway_domain::access::Action;
use slipway_domain::catalog::field::{FieldError, FieldErrorCode};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::{LevelCodes, OrgScope};
use slipway_domain::catalog::page::Page;
use slipway_domain::catalog::pin::PinTarget;

/// Number of rows in the list. Targets and reasons can be long.
const ROWS: u32 = 15;

const PIN: Form = Form {
    key: "pin",
    submit: |t| t.pin,
    explanation: Some(|t| t.pin_explanation),
    style: Style::Primary,
    fields: &[
        Field::new("package_name", Kind::Text, |t| t.package_name).required(),
        Field::new("identifier", Kind::Text, |t| t.resource).required(),
        Field::new("device_id", Kind::Text, |t| t.device).hint(|t| t.pin_target_hint),
        Field::new("org_path", Kind::OrgPath, |t| t.org_node).hint(|t| t.org_path_hint),
        Field::new(
            "mode",
            Kind::Choice(&[
                ("hold", |t| t.pin_hold),
                ("exact", |t| t.pin_exact),
                ("ceiling", |t| t.pin_ceiling),
            ]),
            |t| t.pin_mode,
        )
        .required(),
        Field::new("version_code", Kind::Integer, |t| t.version_code).hint(|t| t.pin_version_hint),
        Field::new("reason", Kind::LongText, |t| t.reason).required(),
        Field::new("expires_at", Kind::Instant, |t| t.expires_at).hint(|t| t.expires_at_hint),
    ],
};

const DELETE: Form = Form {
    key: "unpin",
    submit: |t| t.unpin,
    explanation: Some(|t| t.unpin_explanation),
    style: Style::Danger,
    fields: &[],
};

#[derive(Template)]
#[template(path = "pins.html")]
struct PinsPage<'a> {
    s: &'a Shell,
    base: String,
    filter: FilterInput,
    errors: FilterErrors,
    pins: Vec<PinRow>,
    next: Option<String>,
    form: Option<FormView>,
}

/// Filter as the person wrote it.
#[derive(PartialEq, Eq, Default)]
struct FilterInput {
    package_name: String,
    identifier: String,
    on_device: String,
    on_node: String,
}

impl FilterInput {
    fn of(visit: &Visit) -> Self {
        let text = |name: &str| visit.param(name).unwrap_or_default();
        Self {
            package_name: text("package_name"),
            identifier: text("identifier"),
            on_device: text(ON_DEVICE),
            on_node: text(ON_NODE),
        }
    }

    fn is_set(&self) -> bool {
        *self != Self::default()
    }

    fn selection(&self) -> Result<PinSelection, Problem> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        requests::pin_selection(PinsQuery {
            package_name: given(&self.package_name),
            identifier: given(&self.identifier),
            device_id: given(&self.on_device),
            org_path: given(&self.on_node),
            ..PinsQuery::default()
        })
    }
}

pub(super) struct PinRow {
    id: String,
    resource: String,
    target: String,
    /// Node of the pin, if the org directory does not have it.
    unknown_node: Option<String>,
    mode: String,
    reason: String,
    expires_at: Option<Moment>,
    created_at: Moment,
    /// Address of the page with the form of this row.
    change_href: Option<String>,
    forms: Vec<FormView>,
}

impl PinRow {
    fn of(
        visit: &Visit,
        shell: &Shell,
        attempt: Option<&Attempt>,
        tenant: TenantId,
        named: &NamedPin,
    ) -> Self {
        let base = format!("/console/tenants/{tenant}/pins");
        let pin = &named.pin.value;
        let id = pin.id.to_string();
        let change_href = row_href(visit, &base, attempt, &id);
        let may_write = visit.may(Action::WritePins);
        let form = || {
            let action = format!("{base}/{id}/delete");
            let form = shell.forms(attempt).form_of(&DELETE, &id, action, Vec::new());
            form.etag(&named.pin.etag).behind(shell.t.unpin)
        };
        Self {
            resource: pin.identifier.to_string(),
            target: target_in_words(shell.t, &pin.target),
            unknown_node: unknown_nodes(visit, tenant, place_of(&pin.target)),
            mode: mode_in_words(shell.t, pin.mode),
            reason: pin.reason.to_string(),
            expires_at: pin.expires_at.map(Moment),
            created_at: Moment(named.pin.created_at),
            forms: (may_write && change_href.is_none())
                .then(form)
                .into_iter()
                .collect(),
            change_href: change_href.filter(|_| may_write),
            id,
        }
    }
}

fn place_of(target: &PinTarget) -> Option<OrgScope> {
    match target {
        PinTarget::Device(_) => None,
        PinTarget::OrgNode(path) => OrgScope::new(LevelCodes::from_path(path)).ok(),
    }
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let filter = FilterInput::of(visit);
    let (selection, errors) = FilterErrors::split(visit.texts(), filter.selection())?;
    let found = if let Some(selection) = selection {
        let (ctx, caller, page) = (&visit.ctx, visit.caller(false), visit.page_at("cursor", ROWS)?);
        pins::list(ctx, &caller, tenant_id, &selection, &page).await?
    } else {
        visit.require_tenant(tenant_id)?;
        Page::empty()
    };
    let shell = Shell::of(visit, visit.texts().pins);
    let base = format!("/console/tenants/{tenant_id}/pins");
    let given = |name: &'static str| (name, visit.param(name).unwrap_or_default());
    let mut values = vec![
        given("package_name"),
        given("identifier"),
        given("device_id"),
        given("version_code"),
    ];
    values.extend(visit.param("mode").map(|mode| ("mode", mode)));
    let form = shell
        .forms(attempt)
        .form_of(&PIN, "", &base, values)
        .behind(shell.t.new_pin)
        .open_if(visit.param("device_id").or(visit.param("version_code")).is_some());
    let status = attempt.map_or_else(|| errors.status(), Attempt::status);
    let form = match existing_pin(visit, tenant_id, attempt).await? {
        Some(pin) => form
            .etag(&pin.pin.etag)
            .below("expires_at", existing_pin::describe(shell.t, &pin)?)
            .submit(shell.t.replace_pin),
        None => form,
    };
    let page = PinsPage {
        pins: found
            .items
            .iter()
            .map(|pin| PinRow::of(visit, &shell, attempt, tenant_id, pin))
            .collect(),
        next: visit.next_page(&base, found.next),
        form: visit.may(Action::WritePins).then_some(form),
        filter,
        base,
        errors,
        s: &shell,
    };
    html(status, &page)
}

/// Returns the pin that the last attempt would have replaced.
async fn existing_pin(
    visit: &Visit,
    tenant: TenantId,
    attempt: Option<&Attempt>,
) -> Result<Option<NamedPin>, PageError> {
    let Some(attempt) = attempt.filter(|attempt| attempt.form == PIN.key) else {
        return Ok(None);
    };
    match requests::pin(&PIN.body(&attempt.input)) {
        Ok((new, _)) => existing_pin::find(visit, tenant, attempt, new).await,
        Err(_) => Ok(None),
    }
}

pub(in crate::console) async fn put(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_put(&form, tenant_id).await {
        Ok(()) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/pins?done=pinned"
        ))),
        Err(problem) => render(&form.visit, Some(&form.attempt(&PIN, problem)?)).await,
    }
}

async fn try_put(form: &Submission, tenant: TenantId) -> Result<(), Problem> {
    let t = form.visit.texts();
    let parsed = requests::pin(&PIN.body(&form.input));
    let (new, is_urgent) = parsed.map_err(|problem| name_targets(problem, t))?;
    let (caller, _permit) = form.begin(is_urgent)?;
    // Only a form that showed the existing pin replaces it.
    let precondition = match form.precondition() {
        Precondition::None => Precondition::Absent,
        shown => shown,
    };
    pins::put(&form.visit.ctx, &caller, tenant, new, &precondition).await?;
    Ok(())
}

/// Names both targets if neither is given. The parser requires the device alone.
fn name_targets(problem: Problem, t: &Texts) -> Problem {
    let is_about_targets =
        |error: &FieldError| error.field == "device_id" && error.code == FieldErrorCode::Required;
    let errors = problem.field_errors().iter().map(|error| {
        if is_about_targets(error) {
            FieldError::invalid("device_id", t.pin_lacks_target)
        } else {
            error.clone()
        }
    });
    if problem.field_errors().iter().any(is_about_targets) {
        Problem::invalid(errors.collect())
    } else {
        problem
    }
}

pub(in crate::console) async fn delete(form: Submission) -> Result<HttpResponse, PageError> {
    let PinPath { tenant_id, pin_id } = form.visit.path()?;
    let (caller, _permit) = form.begin(false)?;
    match pins::delete(&form.visit.ctx, &caller, tenant_id, pin_id, &form.precondition()).await {
        Ok(_) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/pins?done=deleted"
        ))),
        Err(error) => {
            let attempt = form.attempt_on(&DELETE, &pin_id.to_string(), error.into())?;
            render(&form.visit, Some(&attempt)).await
        }
    }
}
