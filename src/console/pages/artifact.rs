//! One artifact: its facts, links and releases, and what the role may do with it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::new_release::new_release_href;
use crate::console::attempt::Attempt;
use crate::console::fields::{Field, Form, Kind, Style};
use crate::console::file_facts::{Fact, facts_of, warnings_of};
use crate::console::file_links::FileLinks;
use crate::console::form_view::FormView;
use crate::console::format::{Moment, bytes, segment};
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::ArtifactPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::artifacts::ArtifactUses;
use crate::services::{ServiceError, apps, artifacts};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::artifact_use::ArtifactUse;
use slipway_domain::catalog::text::PackageName;
use slipway_domain::catalog::versioned::Versioned;

const KEEP: Form = Form {
    key: "keep",
    submit: |t| t.save,
    explanation: None,
    style: Style::Primary,
    fields: &[Field::new("keep", Kind::Flag, |t| t.keep).hint(|t| t.keep_hint)],
};

const NEW_LINK: Form = Form {
    key: "new-link",
    submit: |t| t.new_link,
    explanation: Some(|t| t.new_link_explanation),
    style: Style::Danger,
    fields: &[],
};

const DELETE: Form = Form {
    key: "delete",
    submit: |t| t.delete_file,
    explanation: Some(|t| t.delete_file_explanation),
    style: Style::Danger,
    fields: &[],
};

#[derive(Template)]
#[template(path = "artifact.html")]
struct ArtifactView<'a> {
    s: &'a Shell,
    artifact: &'a Artifact,
    kind: &'static str,
    size: String,
    created_at: Moment,
    damage: Option<DamageView>,
    facts: Vec<Fact>,
    warnings: Vec<&'static str>,
    links: FileLinks,
    uses: Vec<UseRow>,
    /// Address of the form for a release of this file.
    new_release: Option<String>,
    forms: Vec<FormView>,
}

struct DamageView {
    text: &'static str,
    found_at: Moment,
}

struct UseRow {
    href: String,
    package_name: String,
    identifier: String,
    version_code: i64,
    /// Name of the state in the API.
    state: &'static str,
    state_label: &'static str,
}

impl UseRow {
    fn of(shell: &Shell, tenant: &str, app: &PackageName, used: &ArtifactUse) -> Self {
        let name = segment(app.as_str());
        Self {
            href: format!("{tenant}/apps/{name}/releases/{}", used.release),
            package_name: app.to_string(),
            identifier: used.identifier.to_string(),
            version_code: used.version_code.get(),
            state: used.state.name(),
            state_label: shell.t.release_state(used.state.kind()),
        }
    }
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

fn href(path: &ArtifactPath) -> String {
    let sha256 = path.sha256.as_str();
    format!("/console/tenants/{}/artifacts/{sha256}", path.tenant_id)
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: ArtifactPath = visit.path()?;
    let (ctx, caller) = (&visit.ctx, visit.caller(false));
    let ArtifactUses {
        artifact: stored,
        uses,
    } = artifacts::get(ctx, &caller, path.tenant_id, &path.sha256).await?;
    let artifact = &stored.value;
    let tenant = format!("/console/tenants/{}", path.tenant_id);
    let shell = Shell::of(visit, artifact.filename.as_str())
        .below(format!("{tenant}/artifacts"), visit.texts().artifacts);
    let t = shell.t;
    let page = ArtifactView {
        kind: t.file_kind(artifact.facts.kind()),
        size: bytes(artifact.size),
        created_at: Moment(stored.created_at),
        damage: artifact.damage.map(|damage| DamageView {
            text: t.file_damage(damage.kind),
            found_at: Moment(damage.found_at),
        }),
        facts: facts_of(t, &artifact.facts),
        warnings: warnings_of(t, &artifact.facts),
        links: FileLinks::of(ctx, &artifact.link.key, &artifact.filename),
        uses: uses
            .iter()
            .map(|(app, used)| UseRow::of(&shell, &tenant, app, used))
            .collect(),
        new_release: new_release(visit, &path, artifact).await?,
        forms: forms(visit, &shell, attempt, &path, &stored),
        artifact,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Returns the address of the form for a release of a package, if its app exists.
async fn new_release(
    visit: &Visit,
    path: &ArtifactPath,
    artifact: &Artifact,
) -> Result<Option<String>, PageError> {
    let package = artifact.facts.package().map(|package| package.package_name);
    let name = package.and_then(|name| PackageName::parse(name).ok());
    let Some(name) = name.filter(|_| visit.may(Action::WriteReleases)) else {
        return Ok(None);
    };
    match apps::get(&visit.ctx, &visit.caller(false), path.tenant_id, &name).await {
        Ok(_) => {
            let app = format!(
                "/console/tenants/{}/apps/{}",
                path.tenant_id,
                segment(name.as_str())
            );
            Ok(Some(new_release_href(&app, &path.sha256)))
        }
        Err(ServiceError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the forms that the role allows.
fn forms(
    visit: &Visit,
    shell: &Shell,
    attempt: Option<&Attempt>,
    path: &ArtifactPath,
    stored: &Versioned<Artifact>,
) -> Vec<FormView> {
    if !visit.may(Action::WriteArtifacts) {
        return Vec::new();
    }
    let (t, forms, base) = (shell.t, shell.forms(attempt), href(path));
    let form = |form: &Form, values| {
        let action = format!("{base}/{}", form.key);
        forms.form_of(form, "", action, values).etag(&stored.etag)
    };
    vec![
        form(&KEEP, vec![("keep", stored.value.keep.to_string())]).behind(t.keep),
        form(&NEW_LINK, Vec::new()).behind(t.new_link),
        form(&DELETE, Vec::new()).behind(t.delete_file),
    ]
}

pub(in crate::console) async fn set_keep(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ArtifactPath = form.visit.path()?;
    let apply = async || {
        let keep = requests::artifact_keep(&KEEP.body(&form.input))?;
        let (caller, _permit) = form.begin(false)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        artifacts::set_keep(ctx, &caller, path.tenant_id, &path.sha256, keep, &condition).await?;
        Ok(())
    };
    finish(
        &form,
        &KEEP,
        apply().await,
        &format!("{}?done=saved", href(&path)),
    )
    .await
}

pub(in crate::console) async fn replace_link(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ArtifactPath = form.visit.path()?;
    let apply = async || {
        let (caller, _permit) = form.begin(false)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        artifacts::replace_link(ctx, &caller, path.tenant_id, &path.sha256, &condition).await?;
        Ok(())
    };
    let target = format!("{}?done=linked", href(&path));
    finish(&form, &NEW_LINK, apply().await, &target).await
}

pub(in crate::console) async fn delete(form: Submission) -> Result<HttpResponse, PageError> {
    let path: ArtifactPath = form.visit.path()?;
    let apply = async || {
        let (caller, _permit) = form.begin(false)?;
        let (ctx, condition) = (&form.visit.ctx, form.precondition());
        artifacts::delete(ctx, &caller, path.tenant_id, &path.sha256, &condition).await?;
        Ok(())
    };
    let target = format!("/console/tenants/{}/artifacts?done=deleted", path.tenant_id);
    finish(&form, &DELETE, apply().await, &target).await
}

async fn finish(
    form: &Submission,
    of: &Form,
    done: Result<(), Problem>,
    target: &str,
) -> Result<HttpResponse, PageError> {
    match done {
        Ok(()) => Ok(see_other(target)),
        Err(problem) => render(&form.visit, Some(&form.attempt(of, problem)?)).await,
    }
}
