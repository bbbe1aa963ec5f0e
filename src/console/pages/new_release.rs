//! New release: a file that is uploaded first, an artifact that was uploaded before, or an external file.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::artifacts::{UPLOAD, version_of};
use super::existing_release;
use super::found_file::{
    self, FoundFile, WARNING, find_artifact, find_replaced, is_of_other_package, package_warning,
};
use super::offer_preview::{self, PreviewView};
use super::org_picker::{self, OrgPicker};
use super::release_form::{NEW, NEW_OF_FILE};
use crate::console::attempt::Attempt;
use crate::console::created::{Created, Creation as _, Secrecy, create};
use crate::console::file_submission::FileSubmission;
use crate::console::form_view::{Button, FormView};
use crate::console::format::segment;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::sent_form::SentForm;
use crate::console::shell::{Link, Shell};
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::http::problem::Problem;
use crate::http::requests;
use crate::services::offer_preview::OfferPreview;
use crate::services::releases::CreatedRelease;
use crate::services::{RequiredPermission, apps, artifacts, releases, resources};
use slipway_domain::access::Action;
use slipway_domain::catalog::artifact::{Artifact, ArtifactFilter};
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::text::Sha256;
use slipway_domain::catalog::versioned::Versioned;

/// Number of resources that are suggested for a new release.
const SUGGESTED: u64 = 200;
/// Number of artifacts that are suggested.
const RECENT: u64 = 5;

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
    preview: Option<PreviewView>,
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
    render(&visit, Shown::default()).await
}

/// State of the page, besides its address.
#[derive(Default)]
struct Shown<'a> {
    attempt: Option<&'a Attempt>,
    /// `true` if the form is shown again without a problem.
    is_done: bool,
    preview: Option<OfferPreview>,
}

async fn render(visit: &Visit, shown: Shown<'_>) -> Result<HttpResponse, PageError> {
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
    let here = format!("{}/releases/new", place.app);
    let artifact = find_artifact(visit, &path, shown.attempt).await?;
    let found = match &artifact {
        Some(artifact) => {
            let newest = find_replaced(visit, &path, shown.attempt, artifact).await?;
            let (tenant, app) = (&place.tenant, &place.app);
            Some(FoundFile {
                package_warning: package_warning(visit, &path, shown.attempt, artifact, newest.as_ref())
                    .await?,
                ..FoundFile::of(&shell, tenant, app, artifact, newest.as_ref())
            })
        }
        None => None,
    };
    let form = release_form(visit, &shell, &path, &shown, artifact.as_ref()).await?;
    let preview = shown
        .preview
        .map(|preview| PreviewView::of(visit, &shell, path.tenant_id, &place.app, preview))
        .transpose()?
        .map(|view| PreviewView {
            package_warning: found.as_ref().and_then(|found| found.package_warning.clone()),
            ..view
        });
    let upload = visit
        .may(Action::WriteArtifacts)
        .then(|| shell.forms(shown.attempt).form(&UPLOAD, &here));
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
        upload,
        found,
        form,
        preview,
        here,
        s: &shell,
    };
    let problem = shown.attempt.filter(|_| !shown.is_done);
    html(problem.map_or(StatusCode::OK, Attempt::status), &page)
}

/// Builds the form of the release, with the choice of org nodes and the control of the preview.
async fn release_form(
    visit: &Visit,
    shell: &Shell,
    path: &AppPath,
    shown: &Shown<'_>,
    artifact: Option<&Artifact>,
) -> Result<FormView, PageError> {
    let app = Place::of(path).app;
    let action = format!("{app}/releases");
    let (of_nodes, of_preview) = (
        format!("{action}/new/nodes#org-nodes"),
        format!("{action}/new/preview#preview"),
    );
    // The form of the file has its own input.
    let attempt = shown.attempt.filter(|attempt| attempt.form == NEW.key);
    let input = attempt.map(|attempt| &attempt.input);
    let picker = OrgPicker::read(visit, path.tenant_id, &of_nodes, input).await?;
    let forms = shell.forms(shown.attempt);
    let forms = if shown.is_done {
        forms.without_problem()
    } else {
        forms
    };
    let form = match artifact {
        Some(artifact) => forms.form_of(&NEW_OF_FILE, "", action, found_file::values(artifact)),
        None => forms.form_of(
            &NEW,
            "",
            action,
            vec![("identifier", path.package_name.to_string())],
        ),
    };
    let form = existing_release::with_link(form, shell.t, &app, attempt.map(|attempt| &attempt.problem))?;
    let control = offer_preview::control(shell.t, &of_preview, attempt)?;
    let enter = if picker.is_open {
        Button {
            action: of_nodes,
            name: OrgPicker::FIND,
            accepts_incomplete: true,
        }
    } else {
        Button {
            action: of_preview,
            name: "preview",
            accepts_incomplete: false,
        }
    };
    Ok(form
        .below(org_picker::BELOW, picker.fragment)
        .further(control)
        .enter(enter))
}

/// Shows the form again with another part of the org directory.
pub(in crate::console) async fn choose_nodes(mut form: Submission) -> Result<HttpResponse, PageError> {
    org_picker::apply_boxes(&mut form.input);
    show_again(&form, None).await
}

/// Shows the form again with a preview of its release.
pub(in crate::console) async fn preview(mut form: Submission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    org_picker::apply_boxes(&mut form.input);
    match offer_preview::preview(&form, &path, NEW.body(&form.input)).await {
        Ok(preview) => show_again(&form, Some(preview)).await,
        Err(problem) => show_problem(&form, problem).await,
    }
}

async fn show_again(form: &Submission, preview: Option<OfferPreview>) -> Result<HttpResponse, PageError> {
    let attempt = form.attempt(&NEW, Problem::invalid(Vec::new()))?;
    let shown = Shown {
        attempt: Some(&attempt),
        is_done: true,
        preview,
    };
    render(&form.visit, shown).await
}

async fn show_problem(form: &Submission, problem: Problem) -> Result<HttpResponse, PageError> {
    let problem = existing_release::localize(&form.visit, &form.visit.path()?, problem).await?;
    let attempt = form.attempt(&NEW, problem)?;
    let shown = Shown {
        attempt: Some(&attempt),
        ..Shown::default()
    };
    render(&form.visit, shown).await
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
        Err(problem) => {
            let attempt = form.attempt(&UPLOAD, problem)?;
            let shown = Shown {
                attempt: Some(&attempt),
                ..Shown::default()
            };
            render(&form.visit, shown).await
        }
    }
}

pub(in crate::console) async fn create_release(mut form: Submission) -> Result<HttpResponse, PageError> {
    let path: AppPath = form.visit.path()?;
    org_picker::apply_boxes(&mut form.input);
    // Once the release is published, it is itself the one that the file is compared with.
    let attempt = form.attempt(&NEW, Problem::invalid(Vec::new()))?;
    let is_of_other_package = is_of_other_package(&form.visit, &path, &attempt).await?;
    match try_create(&form, &path).await {
        Ok(SentRelease { id, notice }) => {
            let releases = format!("{}/releases", Place::of(&path).app);
            let is_warned = is_of_other_package || was_warned(&form, notice).await;
            let warning = if is_warned {
                format!("&{WARNING}=true")
            } else {
                String::new()
            };
            let target = format!("{releases}/{}?done={notice}{warning}", segment(&id));
            Ok(see_other(&target))
        }
        Err(problem) => show_problem(&form, problem).await,
    }
}

/// Returns `true` if the first sending of this form led to a page with the warning.
async fn was_warned(form: &Submission, notice: &str) -> bool {
    let target = match notice {
        "exists" => SentForm::find_earlier_target(&form.visit.request).await,
        _ => None,
    };
    target.is_some_and(|target| target.ends_with(&format!("&{WARNING}=true")))
}

/// Release that the form led to.
struct SentRelease {
    id: String,
    notice: &'static str,
}

async fn try_create(form: &Submission, path: &AppPath) -> Result<SentRelease, Problem> {
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
        Created::New(created) => SentRelease {
            id: created.name(),
            notice: notice_of(&created),
        },
        Created::Earlier(id) => SentRelease { id, notice: "exists" },
    })
}

/// Names what this form has done, which is nothing if the same release was there already.
fn notice_of(created: &CreatedRelease) -> &'static str {
    if created.is_published {
        "published"
    } else if created.is_new {
        "created"
    } else {
        "exists"
    }
}
