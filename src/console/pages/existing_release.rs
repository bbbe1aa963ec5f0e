//! New release whose version exists already with other content. The form is refused and names the release.

use askama::Template;

use crate::console::form_view::FormView;
use crate::console::format::segment;
use crate::console::fragment::Fragment;
use crate::console::page_error::PageError;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::http::problem::{Problem, ProblemCode};
use crate::services::{ReleaseAddress, releases};
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::release::ReleaseStateKind;

/// Field whose value names the stored release.
const VERSION: &str = "version_code";

#[derive(Template)]
#[template(path = "existing_release.html")]
struct ExistingRelease<'a> {
    t: &'a Texts,
    href: String,
}

/// Returns the id of the stored release that a problem is about.
fn id_in(problem: &Problem) -> Option<ReleaseId> {
    let id = problem
        .id()
        .filter(|_| problem.code() == ProblemCode::VersionConflict);
    id.and_then(|id| id.parse().ok())
}

/// Moves the conflict with a stored release to the field of the version, in the language of the page. Other problems
/// stay as they are.
pub(super) async fn localize(visit: &Visit, path: &AppPath, problem: Problem) -> Result<Problem, PageError> {
    let Some(id) = id_in(&problem) else {
        return Ok(problem);
    };
    let address = ReleaseAddress {
        tenant: path.tenant_id,
        app: &path.package_name,
        id,
    };
    let stored = releases::get(&visit.ctx, &visit.caller(false), address).await?;
    let release = &stored.value.release;
    let t = visit.texts();
    let text = match release.state.kind() {
        ReleaseStateKind::Draft => t.version_exists_as_draft,
        _ => t.version_exists,
    };
    let text = text
        .replace("{version}", &release.content.version_code.to_string())
        .replace("{state}", t.release_state(release.state.kind()));
    Ok(problem.at_field(VERSION, text))
}

/// Adds a link to the stored release that the problem is about. `app` is the address of the app.
pub(super) fn with_link(
    form: FormView,
    t: &Texts,
    app: &str,
    problem: Option<&Problem>,
) -> Result<FormView, PageError> {
    let Some(id) = problem.and_then(id_in) else {
        return Ok(form);
    };
    let link = ExistingRelease {
        t,
        href: format!("{app}/releases/{}", segment(&id.to_string())),
    };
    Ok(form.below(VERSION, Fragment::of(&link)?))
}
