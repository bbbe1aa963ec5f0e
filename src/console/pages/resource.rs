//! One resource of an app: its releases, the versions on devices, and its settings.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::app::app_href;
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
use crate::http::path::{AppPath, ResourcePath};
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::adoption::{self, AdoptionHistory, CurrentAdoption};
use crate::services::{apps, releases, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::app::{App, Resource};
use slipway_domain::catalog::page::Page;
use slipway_domain::catalog::release::{ReleaseFilter, ReleaseRecord};
use slipway_domain::catalog::versioned::Versioned;

const CHANGE: Form = Form {
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
#[template(path = "resource.html")]
struct ResourcePage<'a> {
    s: &'a Shell,
    name: Option<String>,
    kind: &'static str,
    enabled: bool,
    releases: Vec<ReleaseSummary>,
    next: Option<String>,
    adoption: Option<Adoption>,
    /// Time of the count; `None` if it was made for the page.
    counted_at: Option<Moment>,
    history: Option<History>,
    form: Option<FormView>,
}

/// Reads of the page, on the threads for heavy work.
struct ResourceReads {
    app: App,
    resource: Versioned<Resource>,
    releases: Page<Versioned<ReleaseRecord>>,
    adoption: CurrentAdoption,
    history: AdoptionHistory,
}

async fn read(visit: &Visit, path: &ResourcePath) -> Result<ResourceReads, Problem> {
    let ResourcePath {
        tenant_id: tenant,
        package_name: name,
        identifier,
    } = path.clone();
    let page = visit.page()?;
    visit
        .run_heavy(async move |ctx, caller| {
            let filter = ReleaseFilter {
                identifier: Some(&identifier),
                ..ReleaseFilter::default()
            };
            let (only, history) = (
                [identifier.clone()],
                adoption_history::query_of(vec![identifier.clone()]),
            );
            Ok(ResourceReads {
                app: apps::get(&ctx, &caller, tenant, &name).await?.value,
                resource: resources::get(&ctx, &caller, tenant, &name, &identifier).await?,
                releases: releases::list(&ctx, &caller, tenant, &name, &filter, &page).await?,
                adoption: adoption::current(&ctx, &caller, tenant, &name, &only).await?,
                history: adoption::history(&ctx, &caller, tenant, &name, &history).await?,
            })
        })
        .await
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: ResourcePath = visit.path()?;
    let reads = read(visit, &path).await?;
    let resource = &reads.resource.value;
    let app = app_of(&path);
    let shell = Shell::of(visit, resource.identifier.to_string())
        .below(
            format!("/console/tenants/{}/apps", path.tenant_id),
            visit.texts().apps,
        )
        .below(&app, reads.app.app_name.to_string());
    let form = shell
        .forms(attempt)
        .form_of(&CHANGE, "", resource_href(&path), values(resource));
    let form = form.etag(&reads.resource.etag).behind(shell.t.change_resource);
    let page = ResourcePage {
        name: resource.name.as_ref().map(ToString::to_string),
        kind: shell.t.resource_kind(resource.kind),
        enabled: resource.enabled,
        releases: reads
            .releases
            .items
            .iter()
            // Relative to this page: long names of packages would repeat in each row.
            .map(|release| ReleaseSummary::of(&shell, "..", release))
            .collect(),
        next: visit.next_page(&resource_href(&path), reads.releases.next),
        adoption: reads
            .adoption
            .resources
            .get(&resource.identifier)
            .and_then(Adoption::of),
        counted_at: reads.adoption.counted_at.map(Moment),
        history: History::of_resource(&reads.history, &resource.identifier),
        form: visit.may(Action::WriteApps).then_some(form),
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

fn app_of(path: &ResourcePath) -> String {
    app_href(&AppPath {
        tenant_id: path.tenant_id,
        package_name: path.package_name.clone(),
    })
}

fn resource_href(path: &ResourcePath) -> String {
    format!("{}/resources/{}", app_of(path), segment(path.identifier.as_str()))
}

fn values(resource: &Resource) -> Values {
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

pub(in crate::console) async fn update(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ResourcePath = form.visit.path()?;
    match try_update(&form, &path).await {
        Ok(()) => Ok(see_other(&format!("{}?done=saved", resource_href(&path)))),
        Err(problem) => render(&form.visit, Some(&form.attempt(&CHANGE, problem)?)).await,
    }
}

async fn try_update(form: &Submission, path: &ResourcePath) -> Result<(), Problem> {
    let (changes, is_urgent) = requests::resource_changes(&CHANGE.body(&form.input))?;
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
