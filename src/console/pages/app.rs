//! One app with its resources and releases.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::adoption::Adoption;
use crate::console::adoption_history::{self, History};
use crate::console::fields::{Blank, Field, Form, Kind, Style};
use crate::console::form_view::{Attempt, FormView, Values};
use crate::console::format::segment;
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::{AppPath, ResourcePath};
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::adoption::{self, AdoptionHistory, HistoryQuery};
use crate::services::{apps, devices, releases, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::adoption::SEEN_WITHIN_DAYS;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::install::VersionCount;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::{ReleaseFilter, ReleaseRecord};
use slipway_domain::catalog::versioned::Versioned;

/// Number of resources on the page of an app.
const RESOURCES: u64 = 100;
/// Number of releases on the page of an app.
const RELEASES: u64 = 50;
/// Adoption over time. The page stays small with a chart for the app itself and a few resources.
const HISTORY: HistoryQuery = HistoryQuery {
    identifier: None,
    days: adoption_history::DAYS,
    resources: 10,
    versions: adoption_history::VERSIONS,
};

const CHANGE: Form = Form {
    key: "change",
    submit: |t| t.save,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("app_name", Kind::Text, |t| t.name).required(),
        Field::new("icon_url", Kind::Text, |t| t.icon_url).blank(Blank::Null),
        Field::new("old_package_names", Kind::Lines, |t| t.old_package_names)
            .blank(Blank::Empty)
            .hint(|t| t.old_package_names_hint),
        Field::new("enabled", Kind::Flag, |t| t.offers_enabled).hint(|t| t.app_enabled_hint),
    ],
};

const DELETE: Form = Form {
    key: "delete",
    submit: |t| t.delete_app,
    explanation: Some(|t| t.delete_app_explanation),
    style: Style::Danger,
    fields: &[],
};

const RESOURCE: Form = Form {
    key: "resource",
    submit: |t| t.save,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("name", Kind::Text, |t| t.name).blank(Blank::Null),
        Field::new(
            "kind",
            Kind::Choice(&[
                ("apk", |t| t.kind_apk),
                ("miniapp", |t| t.kind_miniapp),
                ("offline_package", |t| t.kind_offline_package),
                ("config", |t| t.kind_config),
                ("firmware", |t| t.kind_firmware),
                ("other", |t| t.kind_other),
            ]),
            |t| t.kind,
        ),
        Field::new("enabled", Kind::Flag, |t| t.offers_enabled).hint(|t| t.resource_enabled_hint),
        Field::new("repair_on_mismatch", Kind::Flag, |t| t.repair_on_mismatch)
            .hint(|t| t.repair_on_mismatch_hint),
    ],
};

#[derive(Template)]
#[template(path = "app.html")]
struct AppDetails<'a> {
    s: &'a Shell,
    base: String,
    /// Command with which a pipeline publishes a release.
    pipeline_call: String,
    app: &'a App,
    resources: Vec<ResourceSection>,
    next: Option<String>,
    may_write: bool,
    forms: Vec<FormView>,
}

/// Resource with its releases, newest first.
struct ResourceSection {
    identifier: String,
    name: Option<String>,
    kind: &'static str,
    enabled: bool,
    releases: Vec<ReleaseSummary>,
    adoption: Option<Adoption>,
    history: Option<History>,
    form: Option<FormView>,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render_app(&visit, None).await
}

/// Reads of an app's page, on the threads for heavy work.
struct AppReads {
    app: Versioned<App>,
    resources: Vec<Versioned<Resource>>,
    releases: Vec<Versioned<ReleaseRecord>>,
    next: Option<String>,
    counts: Vec<VersionCount>,
    history: AdoptionHistory,
}

async fn read(visit: &Visit, path: &AppPath) -> Result<AppReads, Problem> {
    let (tenant, name) = (path.tenant_id, path.package_name.clone());
    let page = visit.page()?;
    visit
        .run_heavy(async move |ctx, caller| {
            let first = PageRequest {
                limit: RESOURCES,
                after: None,
            };
            let newest = PageRequest {
                limit: RELEASES,
                after: page.after,
            };
            let app = apps::get(&ctx, &caller, tenant, &name).await?;
            let filter = ReleaseFilter::default();
            let found = releases::list(&ctx, &caller, tenant, &name, &filter, &newest).await?;
            Ok(AppReads {
                resources: resources::list(&ctx, &caller, tenant, &name, &first).await?.items,
                counts: devices::adoption(&ctx, &caller, tenant, &name, None, SEEN_WITHIN_DAYS).await?,
                history: adoption::history(&ctx, &caller, tenant, &name, &HISTORY).await?,
                next: found.next,
                releases: found.items,
                app,
            })
        })
        .await
}

async fn render_app(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: AppPath = match visit.path::<ResourcePath>() {
        Ok(resource) => AppPath {
            tenant_id: resource.tenant_id,
            package_name: resource.package_name,
        },
        Err(_) => visit.path()?,
    };
    let reads = read(visit, &path).await?;
    let app = &reads.app.value;
    let tenant = format!("/console/tenants/{}", path.tenant_id);
    let base = format!("{tenant}/apps/{}", segment(app.package_name.as_str()));
    let shell =
        Shell::of(visit, app.app_name.to_string()).below(format!("{tenant}/apps"), visit.texts().apps);
    let forms = app_forms(visit, &shell, attempt, &base, &reads.app);
    let page = AppDetails {
        resources: sections(visit, &shell, attempt, &base, &reads),
        next: visit.next_page(reads.next),
        may_write: visit.may(Action::WriteReleases),
        forms,
        app,
        pipeline_call: pipeline_call(&path),
        base,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

fn app_forms(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    base: &str,
    stored: &Versioned<App>,
) -> Vec<FormView> {
    let (t, forms) = (shell.t, shell.forms(attempt));
    let mut shown = Vec::new();
    if visit.may(Action::WriteApps) {
        let form = forms.form_of(&CHANGE, "", format!("{base}/update"), app_values(&stored.value));
        shown.push(form.etag(&stored.etag).behind(t.change_app));
    }
    if visit.may(Action::DeleteApps) {
        let form = forms.form(&DELETE, format!("{base}/delete"));
        shown.push(form.etag(&stored.etag).behind(t.delete));
    }
    shown
}

fn app_values(app: &App) -> Values {
    let old: Vec<_> = app.old_package_names.iter().map(ToString::to_string).collect();
    vec![
        ("app_name", app.app_name.to_string()),
        (
            "icon_url",
            app.icon_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
        ("old_package_names", old.join("\n")),
        ("enabled", app.enabled.to_string()),
    ]
}

/// Returns the resources in the order of their newest release.
fn sections(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    base: &str,
    reads: &AppReads,
) -> Vec<ResourceSection> {
    let may_write = visit.may(Action::WriteApps);
    let section = |stored: &Versioned<Resource>| {
        let resource = &stored.value;
        let identifier = resource.identifier.as_str();
        let of_it =
            |release: &&Versioned<ReleaseRecord>| release.value.release.identifier == resource.identifier;
        let action = format!("{base}/resources/{}", segment(identifier));
        let form = shell
            .forms(attempt)
            .form_of(&RESOURCE, identifier, action, resource_values(resource));
        ResourceSection {
            identifier: identifier.to_owned(),
            name: resource.name.as_ref().map(ToString::to_string),
            kind: shell.t.resource_kind(resource.kind),
            enabled: resource.enabled,
            releases: reads
                .releases
                .iter()
                .filter(of_it)
                .map(|release| ReleaseSummary::of(shell, base, release))
                .collect(),
            adoption: Adoption::of(
                reads
                    .counts
                    .iter()
                    .filter(|count| count.identifier == resource.identifier),
            ),
            history: history_of(&reads.history, resource),
            form: may_write.then(|| form.etag(&stored.etag).behind(shell.t.change_resource)),
        }
    };
    reads.resources.iter().map(section).collect()
}

fn history_of(history: &AdoptionHistory, resource: &Resource) -> Option<History> {
    let mut resources = history.resources.iter();
    let found = resources.find(|found| found.identifier == resource.identifier)?;
    History::of(found, history.to)
}

fn resource_values(resource: &Resource) -> Values {
    vec![
        (
            "name",
            resource
                .name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        ("kind", resource.kind.as_str().to_owned()),
        ("enabled", resource.enabled.to_string()),
        ("repair_on_mismatch", resource.repair_on_mismatch.to_string()),
    ]
}

fn app_href(path: &AppPath) -> String {
    format!(
        "/console/tenants/{}/apps/{}",
        path.tenant_id,
        segment(path.package_name.as_str())
    )
}

pub(in crate::console) async fn update(form: Submission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    match try_update(&form, &path).await {
        Ok(()) => Ok(see_other(&format!("{}?done=saved", app_href(&path)))),
        Err(problem) => render_app(&form.visit, Some(&form.attempt(&CHANGE, problem)?)).await,
    }
}

async fn try_update(form: &Submission, path: &AppPath) -> Result<(), Problem> {
    let (changes, is_urgent) = requests::app_changes(&CHANGE.body(&form.input))?;
    let (caller, _permit) = form.begin(is_urgent)?;
    let (tenant, name) = (path.tenant_id, &path.package_name);
    apps::update(
        &form.visit.ctx,
        &caller,
        tenant,
        name,
        changes,
        &form.precondition(),
    )
    .await?;
    Ok(())
}

pub(in crate::console) async fn delete(form: Submission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    let (caller, _permit) = form.begin(false)?;
    let (ctx, condition) = (&form.visit.ctx, form.precondition());
    match apps::delete(ctx, &caller, path.tenant_id, &path.package_name, &condition).await {
        Ok(_) => Ok(see_other(&format!(
            "/console/tenants/{}/apps?done=deleted",
            path.tenant_id
        ))),
        Err(error) => render_app(&form.visit, Some(&form.attempt(&DELETE, error.into())?)).await,
    }
}

pub(in crate::console) async fn update_resource(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ResourcePath = form.visit.path()?;
    let identifier = path.identifier.as_str();
    match try_update_resource(&form, &path).await {
        Ok(()) => {
            let name = segment(path.package_name.as_str());
            Ok(see_other(&format!(
                "/console/tenants/{}/apps/{name}?done=saved",
                path.tenant_id
            )))
        }
        Err(problem) => {
            render_app(
                &form.visit,
                Some(&form.attempt_on(&RESOURCE, identifier, problem)?),
            )
            .await
        }
    }
}

async fn try_update_resource(form: &Submission, path: &ResourcePath) -> Result<(), Problem> {
    let (changes, is_urgent) = requests::resource_changes(&RESOURCE.body(&form.input))?;
    let (caller, _permit) = form.begin(is_urgent)?;
    resources::update(
        &form.visit.ctx,
        &caller,
        path.tenant_id,
        &path.package_name,
        &path.identifier,
        changes,
        &form.precondition(),
    )
    .await?;
    Ok(())
}

fn pipeline_call(path: &AppPath) -> String {
    format!(
        "slipway publish FILE --server \"$SLIPWAY_URL\" --tenant {} --app {} --version-code 1 --version-name 1.0.0",
        path.tenant_id, path.package_name
    )
}
