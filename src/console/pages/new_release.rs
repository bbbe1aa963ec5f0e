//! New release: a file that is uploaded first, an artifact that was uploaded before, or an external file.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::artifacts::{UPLOAD, version_of};
use super::release_form::{NEW, NEW_OF_FILE};
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::file_facts::{Fact, facts_of, warnings_of};
use crate::console::file_submission::FileSubmission;
use crate::console::form_view::{Attempt, FormView, Values};
use crate::console::format::{bytes, segment};
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::response::{html, see_other};
use crate::console::shell::{Link, Shell};
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::{RequiredPermission, ServiceError, apps, artifacts, releases, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::{Artifact, ArtifactFilter};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::release::{ReleaseFilter, ReleaseRecord, ReleaseStateKind};
use slipway_domain::catalog::text::{Identifier, Sha256};
use slipway_domain::catalog::versioned::Versioned;

/// Number of resources that are suggested for a new release.
const SUGGESTED: u64 = 200;
/// Number of artifacts that are suggested.
const RECENT: u64 = 5;
/// Number of published releases among which the highest version is looked for, newest first.
const COMPARED: u64 = 20;

#[derive(Template)]
#[template(path = "release_new.html")]
struct NewReleasePage<'a> {
    s: &'a Shell,
    /// Address of this page without a file.
    here: String,
    identifiers: Vec<String>,
    found: Option<FoundFile>,
    upload: Option<FormView>,
    recent: Vec<Link>,
    form: FormView,
}

/// Artifact of the new release.
struct FoundFile {
    href: String,
    filename: String,
    kind: &'static str,
    size: String,
    damage: Option<&'static str>,
    facts: Vec<Fact>,
    warnings: Vec<&'static str>,
    replaces: Option<ReleaseSummary>,
    /// `true` if the published release has this version or a higher one.
    is_not_newer: bool,
}

impl FoundFile {
    fn of(
        shell: &Shell,
        place: &Place,
        artifact: &Artifact,
        newest: Option<&Versioned<ReleaseRecord>>,
    ) -> Self {
        let t = shell.t;
        let published = newest.map(|stored| stored.value.release.content.version_code.get());
        Self {
            href: format!("{}/artifacts/{}", place.tenant, artifact.sha256.as_str()),
            filename: artifact.filename.to_string(),
            kind: t.file_kind(artifact.facts.kind()),
            size: bytes(artifact.size),
            damage: artifact.damage.map(|damage| t.file_damage(damage.kind)),
            facts: facts_of(t, &artifact.facts),
            warnings: warnings_of(t, &artifact.facts),
            replaces: newest.map(|stored| ReleaseSummary::of(shell, &place.app, stored)),
            is_not_newer: version_code(artifact)
                .zip(published)
                .is_some_and(|(version, published)| version <= published),
        }
    }
}

/// Addresses of the tenant and the app.
struct Place {
    tenant: String,
    app: String,
}

impl Place {
    fn of(path: &AppPath) -> Self {
        let tenant = format!("/console/tenants/{}", path.tenant_id);
        Self {
            app: format!("{tenant}/apps/{}", segment(path.package_name.as_str())),
            tenant,
        }
    }
}

/// Returns the address of the form for a release of an artifact. `app` is the address of the app.
pub(super) fn new_release_href(app: &str, artifact: &Sha256) -> String {
    format!("{app}/releases/new?artifact={}", artifact.as_str())
}

pub(in crate::console) async fn show(visit: Visit) -> Result<HttpResponse, PageError> {
    render(&visit, None).await
}

async fn render(visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
    let path: AppPath = visit.path()?;
    visit.require(Action::WriteReleases)?;
    let (ctx, caller, place) = (&visit.ctx, visit.caller(false), Place::of(&path));
    let app = apps::get(ctx, &caller, path.tenant_id, &path.package_name)
        .await?
        .value;
    let suggested = PageRequest::first(SUGGESTED);
    let known = resources::list(ctx, &caller, path.tenant_id, &path.package_name, &suggested).await?;
    let shell = Shell::of(visit, visit.texts().new_release)
        .below(format!("{}/apps", place.tenant), visit.texts().apps)
        .below(&place.app, app.app_name.to_string());
    let forms = shell.forms(attempt);
    let action = format!("{}/releases", place.app);
    let here = format!("{action}/new");
    let artifact = find_artifact(visit, &path, attempt).await?;
    let (found, form) = if let Some(artifact) = &artifact {
        let newest = find_published(visit, &path, artifact).await?;
        let found = FoundFile::of(&shell, &place, artifact, newest.as_ref());
        let form = forms.form_of(&NEW_OF_FILE, "", action, values(artifact));
        (Some(found), form)
    } else {
        let values = vec![("identifier", app.package_name.to_string())];
        (None, forms.form_of(&NEW, "", action, values))
    };
    let may_upload = visit.may(Action::WriteArtifacts);
    let page = NewReleasePage {
        identifiers: known
            .items
            .iter()
            .map(|stored| stored.value.identifier.to_string())
            .collect(),
        recent: if found.is_some() {
            Vec::new()
        } else {
            recent(visit, &path, &place).await?
        },
        upload: may_upload.then(|| forms.form(&UPLOAD, &here)),
        found,
        form,
        here,
        s: &shell,
    };
    html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Finds the artifact that the address or the form names. A form with the digest of none is shown with its error.
async fn find_artifact(
    visit: &Visit,
    path: &AppPath,
    attempt: Option<&Attempt>,
) -> Result<Option<Artifact>, PageError> {
    let given = match attempt {
        Some(attempt) => Some(attempt.input.get("artifact").to_owned()),
        None => visit.param("artifact"),
    };
    let sha256 = given.and_then(|text| Sha256::parse(text.trim()).ok());
    let Some(sha256) = sha256 else {
        return Ok(None);
    };
    match artifacts::find_content(&visit.ctx, &visit.caller(false), path.tenant_id, &sha256).await {
        Ok(found) => Ok(Some(found.artifact.value)),
        Err(ServiceError::NotFound(_)) if attempt.is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the published release with the highest version of the package's resource.
async fn find_published(
    visit: &Visit,
    path: &AppPath,
    artifact: &Artifact,
) -> Result<Option<Versioned<ReleaseRecord>>, PageError> {
    let package = artifact.facts.package().map(|package| package.package_name);
    let Some(identifier) = package.and_then(|name| Identifier::parse(name).ok()) else {
        return Ok(None);
    };
    let filter = ReleaseFilter {
        identifier: Some(&identifier),
        state: Some(ReleaseStateKind::Published),
    };
    let (ctx, caller, page) = (&visit.ctx, visit.caller(false), PageRequest::first(COMPARED));
    let (tenant, app) = (path.tenant_id, &path.package_name);
    let found = releases::list(ctx, &caller, tenant, app, &filter, &page).await?;
    let version = |stored: &Versioned<ReleaseRecord>| stored.value.release.content.version_code;
    Ok(found.items.into_iter().max_by_key(version))
}

/// Returns the version code of a package, unless it is too large for a release.
fn version_code(artifact: &Artifact) -> Option<i64> {
    let code = artifact.facts.package()?.version_code?;
    i64::try_from(code).ok()
}

/// Returns the values of a form that the file supplies.
fn values(artifact: &Artifact) -> Values {
    let package = artifact.facts.package();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let version_code = version_code(artifact).map(|code| code.to_string());
    vec![
        ("artifact", artifact.sha256.as_str().to_owned()),
        ("identifier", text(package.map(|package| package.package_name))),
        ("version_code", version_code.unwrap_or_default()),
        (
            "version_name",
            text(package.and_then(|package| package.version_name)),
        ),
    ]
}

/// Returns links to releases of the newest artifacts.
async fn recent(visit: &Visit, path: &AppPath, place: &Place) -> Result<Vec<Link>, PageError> {
    let (ctx, caller, page) = (&visit.ctx, visit.caller(false), PageRequest::first(RECENT));
    let filter = ArtifactFilter::default();
    let found = artifacts::list(ctx, &caller, path.tenant_id, &filter, &page).await?;
    let link = |stored: &Versioned<Artifact>| Link {
        href: new_release_href(&place.app, &stored.value.sha256),
        label: format!("{} {}", stored.value.filename, version_of(&stored.value)),
    };
    Ok(found.items.iter().map(link).collect())
}

/// Stores the file of a new release, and continues with the release itself.
pub(in crate::console) async fn upload(mut form: FileSubmission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    let (ctx, caller) = (&form.visit.ctx, form.visit.caller(false));
    apps::get(ctx, &caller, path.tenant_id, &path.package_name).await?;
    match form.store(path.tenant_id).await {
        Ok(stored) => {
            let target = new_release_href(&Place::of(&path).app, &stored.artifact.value.sha256);
            Ok(see_other(&format!("{target}&done=uploaded")))
        }
        Err(problem) => render(&form.visit, Some(&form.attempt(&UPLOAD, problem)?)).await,
    }
}

pub(in crate::console) async fn create_release(form: Submission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    match try_create(&form, &path).await {
        Ok(id) => {
            let notice = if form.input.has("publish") {
                "published"
            } else {
                "created"
            };
            let releases = format!("{}/releases", Place::of(&path).app);
            Ok(see_other(&format!("{releases}/{}?done={notice}", segment(&id))))
        }
        Err(problem) => render(&form.visit, Some(&form.attempt(&NEW, problem)?)).await,
    }
}

async fn try_create(form: &Submission, path: &AppPath) -> Result<String, Problem> {
    let new = requests::release(&NEW.body(&form.input))?;
    let ctx = &form.visit.ctx;
    let permission = RequiredPermission::in_tenant(path.tenant_id, Action::WriteReleases);
    let made = create(
        form,
        permission,
        Secrecy::Open,
        async |caller, reservation, once| {
            let (tenant, name) = (path.tenant_id, &path.package_name);
            Ok(
                releases::create(ctx, &caller, tenant, name, new, once(reservation))
                    .await?
                    .value,
            )
        },
    );
    Ok(match made.await? {
        Created::New(created) => created.name(),
        Created::Earlier(name) => name,
    })
}
