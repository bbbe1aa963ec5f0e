//! Pushes: send one, follow its states, withdraw it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::attempt::Attempt;
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::filter_errors::FilterErrors;
use crate::console::form_view::FormView;
use crate::console::format::{Moment, segment};
use crate::console::live::stream_url;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::{Visit, parsed};
use crate::http::path::{PushPath, TenantPath};
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::RequiredPermission;
use crate::services::pushes::{self, PushWithCounts, PushWithTargets};
use slipway_domain::access::Action;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::Page;
use slipway_domain::catalog::push::{Channel, Push, TargetRecord, TargetState};
use slipway_domain::catalog::text::TraceId;

/// Number of devices on the page of a push.
const TARGETS: usize = 50;

const PUSH: Form = Form {
    key: "push",
    submit: |t| t.send,
    explanation: Some(|t| t.push_explanation),
    style: Style::Primary,
    fields: &[
        Field::new("target_info", Kind::Targets, |t| t.push_targets)
            .required()
            .hint(|t| t.push_targets_hint),
        Field::new("package_push_info.pack_url", Kind::Text, |t| t.pack_url).required(),
        Field::new("package_push_info.app_id", Kind::Text, |t| t.push_app_id).required(),
        Field::new("package_push_info.app_type", Kind::Text, |t| t.push_app_type)
            .required()
            .initial("tinyApp"),
        Field::new("action", Kind::Text, |t| t.push_action)
            .required()
            .initial("preview")
            .hint(|t| t.push_action_hint),
        Field::new("trace_id", Kind::Text, |t| t.trace_id),
        Field::new("source_url", Kind::Text, |t| t.source_url),
    ],
};

const WITHDRAW: Form = Form {
    key: "withdraw",
    submit: |t| t.withdraw,
    explanation: Some(|t| t.withdraw_explanation),
    style: Style::Danger,
    fields: &[],
};

#[derive(Template)]
#[template(path = "pushes.html")]
struct PushesPage<'a> {
    s: &'a Shell,
    base: String,
    trace_id: String,
    errors: FilterErrors,
    pushes: Vec<PushRow>,
    next: Option<String>,
    form: Option<FormView>,
}

struct PushRow {
    href: String,
    id: String,
    action: String,
    app_id: String,
    trace_id: String,
    sender: String,
    created_at: Moment,
    counts: Vec<StateCount>,
}

/// Name of a state in the API, its label, and the number of devices in it.
type StateCount = (&'static str, &'static str, u64);

impl PushRow {
    fn of(shell: &Shell, base: &str, found: &PushWithCounts) -> Self {
        let content = &found.push.content;
        let id = found.push.id.to_string();
        Self {
            href: format!("{base}/{id}"),
            id,
            action: content.action.to_string(),
            app_id: content.app_id.to_string(),
            trace_id: content
                .trace_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            sender: sender_of(&found.push),
            created_at: Moment(found.push.created_at),
            counts: counts_of(shell, &found.targets),
        }
    }
}

/// Names the sender as it was called when it sent the push, so that a deleted one stays readable.
fn sender_of(push: &Push) -> String {
    push.sender_name.clone().unwrap_or_else(|| push.origin.clone())
}

fn counts_of(shell: &Shell, counts: &BTreeMap<TargetState, u64>) -> Vec<StateCount> {
    let counts = counts.iter();
    counts
        .map(|(state, count)| (state.as_str(), shell.t.target_state(*state), *count))
        .collect()
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render_list(&visit, None).await
}

async fn render_list(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let trace_id = visit.param("trace_id");
    let of_trace = parsed("trace_id", trace_id.clone(), TraceId::parse);
    let (of_trace, errors) = FilterErrors::split(visit.texts(), of_trace)?;
    let found = if let Some(of_trace) = of_trace {
        let (ctx, caller, page) = (&visit.ctx, visit.caller(false), visit.page()?);
        pushes::list(ctx, &caller, tenant_id, of_trace.as_ref(), &page).await?
    } else {
        visit.require_tenant(tenant_id)?;
        Page::empty()
    };
    let shell = Shell::of(visit, visit.texts().pushes);
    let base = format!("/console/tenants/{tenant_id}/pushes");
    let targets = visit.param("device").map(|device| ("target_info", device));
    let is_prefilled = targets.is_some();
    let form = shell
        .forms(attempt)
        .form_of(&PUSH, "", &base, targets.into_iter().collect());
    let status = attempt.map_or_else(|| errors.status(), Attempt::status);
    let page = PushesPage {
        pushes: found
            .items
            .iter()
            .map(|push| PushRow::of(&shell, &base, push))
            .collect(),
        next: visit.next_page(&base, found.next),
        form: visit
            .may(Action::Push)
            .then(|| form.behind(shell.t.new_push).open_if(is_prefilled)),
        trace_id: trace_id.unwrap_or_default(),
        base,
        errors,
        s: &shell,
    };
    html(status, &page)
}

pub(in crate::console) async fn send(form: Submission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match try_send(&form, tenant_id).await {
        Ok(id) => {
            let id = segment(&id);
            Ok(see_other(&format!(
                "/console/tenants/{tenant_id}/pushes/{id}?done=created"
            )))
        }
        Err(problem) => render_list(&form.visit, Some(&form.attempt(&PUSH, problem)?)).await,
    }
}

async fn try_send(form: &Submission, tenant: TenantId) -> Result<String, Problem> {
    let (request, listed) = requests::push(&PUSH.body(&form.input))?;
    let ctx = &form.visit.ctx;
    let permission = RequiredPermission::in_tenant(tenant, Action::Push);
    let made = create(
        form,
        permission,
        Secrecy::Open,
        async |caller, reservation, once| {
            let accepted = pushes::create(ctx, &caller, tenant, request, once(reservation)).await;
            accepted.map_err(|refusal| requests::push_refusal(refusal, &listed))
        },
    );
    Ok(match made.await? {
        Created::New(accepted) => accepted.name(),
        Created::Earlier(name) => name,
    })
}

#[derive(Template)]
#[template(path = "push.html")]
struct PushPage<'a> {
    s: &'a Shell,
    push: &'a PushWithTargets,
    sender: String,
    created_at: Moment,
    expires_at: Moment,
    counts: Vec<StateCount>,
    targets: Vec<TargetRow>,
    next: Option<String>,
    events: String,
    form: Option<FormView>,
}

struct TargetRow {
    href: String,
    device: String,
    project: String,
    state: &'static str,
    state_label: &'static str,
    channel: &'static str,
    deliveries: i64,
    changed_at: Moment,
    detail: String,
}

impl TargetRow {
    fn of(shell: &Shell, tenant: TenantId, target: &TargetRecord) -> Self {
        let device = target.key.device.as_str();
        Self {
            href: format!("/console/tenants/{tenant}/devices/{}", segment(device)),
            device: device.to_owned(),
            project: target.project.to_string(),
            state: target.state.as_str(),
            state_label: shell.t.target_state(target.state),
            channel: target.channel.map_or("", Channel::as_str),
            deliveries: target.deliveries,
            changed_at: Moment(target.changed_at),
            detail: target
                .detail
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let PushPath { tenant_id, push_id } = visit.path()?;
    let found = pushes::get(&visit.ctx, &visit.caller(false), tenant_id, push_id).await?;
    let list = format!("/console/tenants/{tenant_id}/pushes");
    let shell =
        Shell::of(visit, format!("{} {push_id}", visit.texts().push)).below(&list, visit.texts().pushes);
    let base = format!("{list}/{push_id}");
    let from = visit
        .param("from")
        .and_then(|from| from.parse().ok())
        .unwrap_or(0);
    let next = TARGETS.saturating_add(from);
    let is_queued = found
        .targets
        .iter()
        .any(|target| target.state == TargetState::Queued);
    let forms = shell.forms(attempt);
    let withdraw = || {
        let form = forms.form(&WITHDRAW, format!("{base}/withdraw"));
        form.behind(shell.t.withdraw)
    };
    let page = PushPage {
        sender: sender_of(&found.push),
        created_at: Moment(found.push.created_at),
        expires_at: Moment(found.push.expires_at),
        counts: counts_of(&shell, &states_of(&found.targets)),
        targets: found
            .targets
            .iter()
            .skip(from)
            .take(TARGETS)
            .map(|target| TargetRow::of(&shell, tenant_id, target))
            .collect(),
        next: (next < found.targets.len()).then(|| format!("{base}?from={next}")),
        events: stream_url(&base, &found.etag()),
        form: (is_queued && visit.may(Action::Push)).then(withdraw),
        push: &found,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

fn states_of(targets: &[TargetRecord]) -> BTreeMap<TargetState, u64> {
    let mut states = BTreeMap::new();
    for target in targets {
        *states.entry(target.state).or_default() += 1;
    }
    states
}

pub(in crate::console) async fn withdraw(form: Submission) -> Result<HttpResponse, PageError> {
    let PushPath { tenant_id, push_id } = form.visit.path()?;
    let (caller, _permit) = form.begin(true)?;
    let condition = form.precondition();
    match pushes::withdraw(&form.visit.ctx, &caller, tenant_id, push_id, &condition).await {
        Ok(_) => Ok(see_other(&format!(
            "/console/tenants/{tenant_id}/pushes/{push_id}?done=withdrawn"
        ))),
        Err(error) => render(&form.visit, Some(&form.attempt(&WITHDRAW, error.into())?)).await,
    }
}
