//! One app with its resources and releases.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::adoption::Adoption;
use crate::console::adoption_history::{self, History};
use crate::console::attempt::Attempt;
use crate::console::fields::{Blank, Field, Form, Kind, Style};
use crate::console::form_view::{FormView, Values};
use crate::console::format::{Moment, segment};
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::adoption::{self, AdoptionHistory, CurrentAdoption};
use crate::services::{apps, releases, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::page::{Page, PageRequest};
use slipway_domain::catalog::release::{ReleaseFilter, ReleaseRecord};
use slipway_domain::catalog::versioned::Versioned;

/// Number of resources on the page of an app. The page stays small with several releases and a chart for each.
const RESOURCES: u64 = 5;
/// Number of releases of each resource on the page of an app.
const RELEASES: u64 = 3;

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

/// Resource with its newest releases. Its own page has all of them, its numbers and its settings.
struct ResourceSection {
    href: String,
    identifier: String,
    name: Option<String>,
    kind: &'static str,
    enabled: bool,
    releases: Vec<ReleaseSummary>,
    has_more: bool,
    adoption: Option<Adoption>,
    /// Time of the count; `None` if it was made for the page.
    counted_at: Option<Moment>,
    history: Option<History>,
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render_app(&visit, None).await
}

/// Reads of an app's page, on the threads for heavy work.
struct AppReads {
    app: Versioned<App>,
    /// Resources with their newest releases.
    resources: Vec<(Resource, Page<Versioned<ReleaseRecord>>)>,
    next: Option<String>,
    adoption: CurrentAdoption,
    history: AdoptionHistory,
}

async fn read(visit: &Visit, path: &AppPath) -> Result<AppReads, Problem> {
    let (tenant, name) = (path.tenant_id, path.package_name.clone());
    let page = PageRequest {
        limit: RESOURCES,
        after: visit.page()?.after,
    };
    visit
        .run_heavy(async move |ctx, caller| {
            let app = apps::get(&ctx, &caller, tenant, &name).await?;
            let listed = resources::list(&ctx, &caller, tenant, &name, &page).await?;
            let mut found = Vec::new();
            for Versioned { value: resource, .. } in listed.items {
                let filter = ReleaseFilter {
                    identifier: Some(&resource.identifier),
                    ..ReleaseFilter::default()
                };
                let newest = PageRequest::first(RELEASES);
                let newest = releases::list(&ctx, &caller, tenant, &name, &filter, &newest).await?;
                found.push((resource, newest));
            }
            let identifiers = found.iter().map(|(resource, _)| resource.identifier.clone());
            let identifiers: Vec<_> = identifiers.collect();
            let adoption = adoption::current(&ctx, &caller, tenant, &name, &identifiers).await?;
            let history = adoption_history::query_of(identifiers);
            Ok(AppReads {
                adoption,
                history: adoption::history(&ctx, &caller, tenant, &name, &history).await?,
                resources: found,
                next: listed.next,
                app,
            })
        })
        .await
}

async fn render_app(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: AppPath = visit.path()?;
    let reads = read(visit, &path).await?;
    let app = &reads.app.value;
    let tenant = format!("/console/tenants/{}", path.tenant_id);
    let base = app_href(&path);
    let shell =
        Shell::of(visit, app.app_name.to_string()).below(format!("{tenant}/apps"), visit.texts().apps);
    let page = AppDetails {
        resources: sections(&shell, &base, &reads),
        next: visit.next_page(&base, reads.next),
        may_write: visit.may(Action::WriteReleases),
        forms: app_forms(visit, &shell, attempt, &base, &reads.app),
        app,
        pipeline_call: pipeline_call(path.tenant_id, path.package_name.as_str()),
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

fn sections(shell: &Shell, base: &str, reads: &AppReads) -> Vec<ResourceSection> {
    let section = |(resource, newest): &(Resource, Page<Versioned<ReleaseRecord>>)| {
        let counts = reads.adoption.resources.get(&resource.identifier);
        ResourceSection {
            href: format!("{base}/resources/{}", segment(resource.identifier.as_str())),
            identifier: resource.identifier.to_string(),
            name: resource.name.as_ref().map(ToString::to_string),
            kind: shell.t.resource_kind(resource.kind),
            enabled: resource.enabled,
            releases: newest
                .items
                .iter()
                .map(|release| ReleaseSummary::of(shell, base, release))
                .collect(),
            has_more: newest.next.is_some(),
            adoption: counts.and_then(Adoption::of),
            counted_at: reads.adoption.counted_at.map(Moment),
            history: History::of_resource(&reads.history, &resource.identifier),
        }
    };
    reads.resources.iter().map(section).collect()
}

/// Returns the address of an app.
pub(super) fn app_href(path: &AppPath) -> String {
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

/// Returns the command with which a pipeline publishes a release of an app.
pub(super) fn pipeline_call(tenant: TenantId, app: &str) -> String {
    format!(
        "slipway publish FILE --server \"$SLIPWAY_URL\" --tenant {tenant} --app {app} --version-code 1 --version-name 1.0.0"
    )
}
