//! Artifacts of a tenant, and their upload.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::file_submission::FileSubmission;
use crate::console::filter_errors::FilterErrors;
use crate::console::form_view::FormView;
use crate::console::format::{Moment, bytes};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::visit::Visit;
use crate::http::path::TenantPath;
use crate::http::requests::{self, ArtifactsQuery};
use crate::services::artifacts;
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::{Artifact, ArtifactKind};
use slipway_domain::catalog::page::Page;
use slipway_domain::catalog::versioned::Versioned;

pub(super) const UPLOAD: Form = Form {
    key: "upload",
    submit: |t| t.upload,
    explanation: None,
    style: Style::Primary,
    fields: &[Field::new("file", Kind::File, |t| t.file)
        .required()
        .hint(|t| t.upload_hint)],
};

#[derive(Template)]
#[template(path = "artifacts.html")]
struct ArtifactsPage<'a> {
    s: &'a Shell,
    base: String,
    filter: FilterView,
    errors: FilterErrors,
    artifacts: Vec<ArtifactRow>,
    next: Option<String>,
    form: Option<FormView>,
}

/// Filters of the list, as they were given.
struct FilterView {
    kinds: Vec<KindOption>,
    /// Kind that the filter names and no file has.
    unknown_kind: Option<String>,
    package_name: String,
    is_unused: bool,
    is_damaged: bool,
}

struct KindOption {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

struct ArtifactRow {
    href: String,
    filename: String,
    kind: &'static str,
    package_name: String,
    version: String,
    size: String,
    is_damaged: bool,
    is_kept: bool,
    created_at: Moment,
    created_by: String,
}

impl FilterView {
    fn is_set(&self) -> bool {
        let has_kind = self.kinds.iter().any(|kind| kind.is_selected);
        has_kind || !self.package_name.is_empty() || self.is_unused || self.is_damaged
    }

    fn of(visit: &Visit) -> Self {
        let (kind, t) = (visit.param("kind"), visit.texts());
        let is_given = |name: &str| visit.param(name).as_deref() == Some("true");
        let option = |of: ArtifactKind| KindOption {
            value: of.as_str(),
            label: t.file_kind(of),
            is_selected: kind.as_deref() == Some(of.as_str()),
        };
        Self {
            kinds: ArtifactKind::ALL.map(option).into(),
            package_name: visit.param("package_name").unwrap_or_default(),
            unknown_kind: kind.filter(|kind| ArtifactKind::ALL.iter().all(|known| known.as_str() != kind)),
            is_unused: is_given("unused"),
            is_damaged: is_given("damaged"),
        }
    }
}

impl ArtifactRow {
    fn of(shell: &Shell, base: &str, stored: &Versioned<Artifact>) -> Self {
        let artifact = &stored.value;
        let package = artifact.facts.package();
        Self {
            href: format!("{base}/{}", artifact.sha256.as_str()),
            filename: artifact.filename.to_string(),
            kind: shell.t.file_kind(artifact.facts.kind()),
            package_name: package.map_or("", |package| package.package_name).to_owned(),
            version: version_of(artifact),
            size: bytes(artifact.size),
            is_damaged: artifact.damage.is_some(),
            is_kept: artifact.keep,
            created_at: Moment(stored.created_at),
            created_by: artifact.created_by.clone(),
        }
    }
}

/// Returns the version name and code of a package.
pub(super) fn version_of(artifact: &Artifact) -> String {
    let package = artifact.facts.package();
    let name = package.and_then(|package| package.version_name);
    match (name, package.and_then(|package| package.version_code)) {
        (Some(name), Some(code)) => format!("{name} ({code})"),
        (Some(name), None) => name.to_owned(),
        (None, Some(code)) => format!("({code})"),
        (None, None) => String::new(),
    }
}

pub(in crate::console) async fn list(visit: Visit) -> Result<HttpResponse, PageError> {
    render_list(&visit, None).await
}

async fn render_list(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = visit.path()?;
    let filters = requests::artifact_filters(ArtifactsQuery {
        kind: visit.param("kind"),
        package_name: visit.param("package_name"),
        unused: visit.param("unused"),
        damaged: visit.param("damaged"),
        ..ArtifactsQuery::default()
    });
    let (filters, errors) = FilterErrors::split(visit.texts(), filters)?;
    let found = if let Some(filters) = filters {
        let (ctx, caller, page) = (&visit.ctx, visit.caller(false), visit.page()?);
        artifacts::list(ctx, &caller, tenant_id, &filters.filter(), &page).await?
    } else {
        visit.require_tenant(tenant_id)?;
        Page::empty()
    };
    let shell = Shell::of(visit, visit.texts().artifacts);
    let base = format!("/console/tenants/{tenant_id}/artifacts");
    let form = shell.forms(attempt).form(&UPLOAD, &base);
    let status = attempt.map_or_else(|| errors.status(), Attempt::status);
    let page = ArtifactsPage {
        filter: FilterView::of(visit),
        artifacts: found
            .items
            .iter()
            .map(|stored| ArtifactRow::of(&shell, &base, stored))
            .collect(),
        next: visit.next_page(&base, found.next),
        form: visit.may(Action::WriteArtifacts).then_some(form),
        base,
        errors,
        s: &shell,
    };
    html(status, &page)
}

pub(in crate::console) async fn upload(mut form: FileSubmission) -> Result<HttpResponse, PageError> {
    let TenantPath { tenant_id } = form.visit.path()?;
    match form.store(tenant_id).await {
        Ok(stored) => {
            let sha256 = stored.artifact.value.sha256.as_str();
            let notice = if stored.is_new { "uploaded" } else { "known" };
            let list = format!("/console/tenants/{tenant_id}/artifacts");
            Ok(see_other(&format!("{list}/{sha256}?done={notice}")))
        }
        Err(problem) => render_list(&form.visit, Some(&form.attempt(&UPLOAD, problem)?)).await,
    }
}
