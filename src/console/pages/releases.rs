//! One release: its facts, what state and role allow, its history.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::audit::{EventRow, rows_of};
use super::found_file::asked_warning;
use super::installed_on::{InstalledOn, InstalledVersion};
use super::release_form::{CHANGE, unit_in_words, values};
use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::file_links::FileLinks;
use crate::console::form_view::FormView;
use crate::console::format::{Moment, bytes, segment};
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::unknown_nodes::{places_of, unknown_nodes};
use crate::console::visit::Visit;
use crate::http::path::ReleasePath;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::requests;
use crate::services::release_transitions::{self, TransitionRequest};
use crate::services::{list_audit, releases};
use slipway_domain::access::Action;
use slipway_domain::catalog::audit::AuditFilter;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::{RecallMode, ReleaseRecord, ReleaseState, Transition};
use slipway_domain::catalog::versioned::Versioned;

/// Number of events in the history of a release.
const EVENTS: u64 = 50;

const PUBLISH: Form = Form {
    key: "publish",
    submit: |t| t.publish,
    explanation: Some(|t| t.publish_explanation),
    style: Style::Primary,
    fields: &[
        Field::new("force", Kind::Flag, |t| t.force).hint(|t| t.force_hint),
        Field::new("accept_signer_change", Kind::Flag, |t| t.accept_signer_change)
            .hint(|t| t.accept_signer_change_hint),
        Field::new("accept_unsafe_package", Kind::Flag, |t| t.accept_unsafe_package)
            .hint(|t| t.accept_unsafe_package_hint),
    ],
};

const PAUSE: Form = Form {
    key: "pause",
    submit: |t| t.pause,
    explanation: Some(|t| t.pause_explanation),
    style: Style::Danger,
    fields: &[],
};

const RESUME: Form = Form {
    key: "resume",
    submit: |t| t.resume,
    explanation: None,
    style: Style::Primary,
    fields: &[],
};

const DISCARD: Form = Form {
    key: "discard",
    submit: |t| t.discard,
    explanation: Some(|t| t.discard_explanation),
    style: Style::Danger,
    fields: &[],
};

const RECALL: Form = Form {
    key: "recall",
    submit: |t| t.recall,
    explanation: Some(|t| t.recall_explanation),
    style: Style::Danger,
    fields: &[
        Field::new(
            "mode",
            Kind::Choice(&[
                ("stop", |t| t.recall_stop),
                ("rollback", |t| t.recall_rollback),
                ("removal", |t| t.recall_removal),
            ]),
            |t| t.recall_mode,
        )
        .required(),
        Field::new("reason", Kind::LongText, |t| t.reason).required(),
    ],
};

const ROLLOUT: Form = Form {
    key: "rollout",
    submit: |t| t.change_share,
    explanation: Some(|t| t.change_share_explanation),
    style: Style::Primary,
    fields: &[
        Field::new("percent", Kind::Number, |t| t.percent).required(),
        Field::new("unit", Kind::Choice(super::release_form::UNITS), |t| t.unit).required(),
    ],
};

#[derive(Template)]
#[template(path = "release.html")]
struct ReleasePage<'a> {
    s: &'a Shell,
    record: &'a ReleaseRecord,
    summary: ReleaseSummary,
    size: String,
    config_json: Option<&'a str>,
    recall_mode: Option<&'static str>,
    starts_at: Option<Moment>,
    ends_at: Option<Moment>,
    created_at: Moment,
    published_at: Option<Moment>,
    /// Devices that have it, for those who may see devices.
    installed: Option<InstalledOn>,
    /// Page of pins with this release filled in, for those who may pin.
    pin: Option<String>,
    unit: &'static str,
    /// Nodes of the targeting that the org directory does not have.
    unknown_nodes: Option<String>,
    /// Warns that the file is that of another resource.
    package_warning: Option<String>,
    file: Option<FileView>,
    forms: Vec<FormView>,
    history: Option<Vec<EventRow>>,
}

/// Stored file of a release.
struct FileView {
    href: String,
    links: FileLinks,
    is_damaged: bool,
}

impl FileView {
    fn of(visit: &Visit, tenant: &str, record: &ReleaseRecord) -> Option<Self> {
        let sha256 = record.release.content.file.artifact.as_ref()?;
        let artifact = record.release.artifact.as_ref()?;
        Some(Self {
            href: format!("{tenant}/artifacts/{}", sha256.as_str()),
            links: FileLinks::of(&visit.ctx, &artifact.key, &artifact.filename),
            is_damaged: artifact.is_damaged,
        })
    }
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

fn href(path: &ReleasePath) -> String {
    let name = segment(path.package_name.as_str());
    format!(
        "/console/tenants/{}/apps/{name}/releases/{}",
        path.tenant_id, path.release_id
    )
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: ReleasePath = visit.path()?;
    let stored = releases::get(&visit.ctx, &visit.caller(false), path.address()).await?;
    let record = &stored.value;
    let content = &record.release.content;
    let tenant = format!("/console/tenants/{}", path.tenant_id);
    let app = format!("{tenant}/apps/{}", segment(path.package_name.as_str()));
    let title = format!("{} {}", record.release.identifier, content.version_name);
    let shell = Shell::of(visit, title)
        .below(format!("{tenant}/apps"), visit.texts().apps)
        .below(&app, path.package_name.as_str());
    let forms = forms(visit, &shell, attempt, &path, &stored);
    let version = installed_version(&path, record);
    if attempt.is_some_and(|attempt| is_about_the_state(&attempt.problem)) {
        let state = shell.t.release_state(record.release.state.kind());
        let text = shell.t.not_done_release_changed;
        shell
            .missing_form
            .explain(text.replace("{state}", &state.to_lowercase()));
    }
    let page = ReleasePage {
        summary: ReleaseSummary::of(&shell, &app, &stored),
        size: bytes(content.file.size),
        config_json: Some(content.config_json.as_str()).filter(|json| *json != "{}"),
        recall_mode: record.release.state.recall_mode().map(|mode| match mode {
            RecallMode::Stop => shell.t.recall_stop,
            RecallMode::Rollback => shell.t.recall_rollback,
            RecallMode::Removal => shell.t.recall_removal,
        }),
        starts_at: content.starts_at.map(Moment),
        ends_at: content.ends_at.map(Moment),
        created_at: Moment(stored.created_at),
        published_at: record.published_at.map(Moment),
        installed: if visit.may(Action::ReadDevices) {
            Some(InstalledOn::read(visit, &version).await?)
        } else {
            None
        },
        pin: visit
            .may(Action::WritePins)
            .then(|| format!("{tenant}/pins?{}&mode=exact", version.query(None))),
        unit: unit_in_words(shell.t, content.rollout.unit),
        file: FileView::of(visit, &tenant, record),
        forms,
        unknown_nodes: unknown_nodes(visit, path.tenant_id, places_of(&content.targeting)),
        package_warning: asked_warning(visit, path.tenant_id, record).await?,
        history: history(visit, &shell, &tenant, &path).await?,
        record,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Returns `true` if the release has another state than the page on which the form was sent showed.
fn is_about_the_state(problem: &Problem) -> bool {
    matches!(problem.code(), ProblemCode::Stale | ProblemCode::WrongState)
}

fn installed_version(path: &ReleasePath, record: &ReleaseRecord) -> InstalledVersion {
    InstalledVersion {
        tenant: path.tenant_id,
        package_name: path.package_name.clone(),
        identifier: record.release.identifier.clone(),
        version_code: record.release.content.version_code,
    }
}

async fn history(
    visit: &Visit,
    shell: &Shell,
    tenant: &str,
    path: &ReleasePath,
) -> Result<Option<Vec<EventRow>>, PageError> {
    if !visit.may(Action::ReadAudit) {
        return Ok(None);
    }
    let filter = AuditFilter {
        object_id: Some(path.release_id.to_string()),
        ..AuditFilter::default()
    };
    let page = PageRequest {
        limit: EVENTS,
        after: None,
    };
    let found = list_audit(&visit.ctx, &visit.caller(false), path.tenant_id, &filter, &page).await?;
    Ok(Some(rows_of(shell, tenant, found.items)))
}

/// Returns the forms that the state and the role allow.
fn forms(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    path: &ReleasePath,
    stored: &Versioned<ReleaseRecord>,
) -> Vec<FormView> {
    if !visit.may(Action::WriteReleases) {
        return Vec::new();
    }
    let (t, forms, base) = (shell.t, shell.forms(attempt), href(path));
    let content = &stored.value.release.content;
    let form = |form: &Form, values| {
        let action = format!("{base}/{}", form.key);
        forms.form_of(form, "", action, values).etag(&stored.etag)
    };
    let state = stored.value.release.state;
    let change = || form(&CHANGE, values(content)).behind(t.edit_release);
    let rollout = || {
        let values = vec![
            ("percent", content.rollout.share.to_percent().to_string()),
            ("unit", content.rollout.unit.to_string()),
        ];
        form(&ROLLOUT, values).behind(t.change_share)
    };
    let recall = || form(&RECALL, Vec::new()).behind(t.recall);
    match state {
        ReleaseState::Draft => vec![
            form(&PUBLISH, Vec::new()).behind(t.publish),
            change(),
            form(&DISCARD, Vec::new()).behind(t.discard),
        ],
        ReleaseState::Published => vec![
            rollout(),
            form(&PAUSE, Vec::new()).behind(t.pause),
            change(),
            recall(),
        ],
        ReleaseState::Paused => vec![form(&RESUME, Vec::new()), rollout(), change(), recall()],
        ReleaseState::Recalled(_) => vec![recall()],
        ReleaseState::Discarded => Vec::new(),
    }
}

pub(in crate::console) async fn publish(form: Submission) -> Result<HttpResponse, PageError> {
    let request = requests::publish(&PUBLISH.body(&form.input));
    transition(form, &PUBLISH, request, "published").await
}

pub(in crate::console) async fn pause(form: Submission) -> Result<HttpResponse, PageError> {
    transition(
        form,
        &PAUSE,
        Ok(TransitionRequest::plain(Transition::Pause)),
        "paused",
    )
    .await
}

pub(in crate::console) async fn resume(form: Submission) -> Result<HttpResponse, PageError> {
    transition(
        form,
        &RESUME,
        Ok(TransitionRequest::plain(Transition::Resume)),
        "resumed",
    )
    .await
}

pub(in crate::console) async fn discard(form: Submission) -> Result<HttpResponse, PageError> {
    transition(
        form,
        &DISCARD,
        Ok(TransitionRequest::plain(Transition::Discard)),
        "discarded",
    )
    .await
}

pub(in crate::console) async fn recall(form: Submission) -> Result<HttpResponse, PageError> {
    let request = requests::recall(&RECALL.body(&form.input));
    transition(form, &RECALL, request, "recalled").await
}

async fn transition(
    form: Submission,
    of: &Form,
    request: Result<TransitionRequest, Problem>,
    notice: &str,
) -> Result<HttpResponse, PageError> {
    let path: ReleasePath = form.visit.path()?;
    let apply = async || {
        let request = request?;
        let is_urgent = matches!(request.step, Transition::Pause | Transition::Recall(_));
        let (caller, _permit) = form.begin(is_urgent)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        release_transitions::apply(ctx, &caller, path.address(), request, &condition).await?;
        Ok(())
    };
    finish(&form, of, &path, apply().await, notice).await
}

pub(in crate::console) async fn set_rollout(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ReleasePath = form.visit.path()?;
    let apply = async || {
        let (changes, is_urgent) = requests::rollout(&ROLLOUT.body(&form.input))?;
        let (caller, _permit) = form.begin(is_urgent)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        releases::set_rollout(ctx, &caller, path.address(), changes, &condition).await?;
        Ok(())
    };
    finish(&form, &ROLLOUT, &path, apply().await, "saved").await
}

pub(in crate::console) async fn update(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ReleasePath = form.visit.path()?;
    let apply = async || {
        let changes = requests::release_changes(&CHANGE.body(&form.input))?;
        let (caller, _permit) = form.begin(false)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        releases::update(ctx, &caller, path.address(), changes, &condition).await?;
        Ok(())
    };
    finish(&form, &CHANGE, &path, apply().await, "saved").await
}

async fn finish(
    form: &Submission,
    of: &Form,
    path: &ReleasePath,
    done: Result<(), Problem>,
    notice: &str,
) -> Result<HttpResponse, PageError> {
    match done {
        Ok(()) => Ok(see_other(&format!("{}?done={notice}", href(path)))),
        Err(problem) => render(&form.visit, Some(&form.attempt(of, problem)?)).await,
    }
}
