//! Artifact of a new release: the facts in the file, and the release that it replaces.

use crate::console::attempt::Attempt;
use crate::console::file_facts::{Fact, facts_of, warnings_of};
use crate::console::form_view::Values;
use crate::console::format::bytes;
use crate::console::page_error::PageError;
use crate::console::release_summary::ReleaseSummary;
use crate::console::shell::Shell;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::http::path::AppPath;
use crate::services::{ServiceError, artifacts, releases};
use slipway_domain::catalog::artifact::Artifact;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::text::{Identifier, Sha256};
use slipway_domain::catalog::versioned::Versioned;

/// Parameter with which the form of a new release asks for [`asked_warning`]. Its value is of no importance.
pub(super) const WARNING: &str = "other_package";

pub(super) struct FoundFile {
    pub(super) href: String,
    pub(super) filename: String,
    pub(super) kind: &'static str,
    pub(super) size: String,
    pub(super) damage: Option<&'static str>,
    pub(super) facts: Vec<Fact>,
    pub(super) warnings: Vec<&'static str>,
    /// Warns that the file is that of another resource.
    pub(super) package_warning: Option<String>,
    pub(super) replaces: Option<ReleaseSummary>,
    /// `true` if the published release has this version or a higher one.
    pub(super) is_not_newer: bool,
}

impl FoundFile {
    /// `tenant` and `app` are their addresses.
    pub(super) fn of(
        shell: &Shell,
        tenant: &str,
        app: &str,
        artifact: &Artifact,
        newest: Option<&Versioned<ReleaseRecord>>,
    ) -> Self {
        let t = shell.t;
        let published = newest.map(|stored| stored.value.release.content.version_code.get());
        Self {
            href: format!("{tenant}/artifacts/{}", artifact.sha256.as_str()),
            filename: artifact.filename.to_string(),
            kind: t.file_kind(artifact.facts.kind()),
            size: bytes(artifact.size),
            damage: artifact.damage.map(|damage| t.file_damage(damage.kind)),
            facts: facts_of(t, &artifact.facts),
            warnings: warnings_of(t, &artifact.facts),
            package_warning: None,
            replaces: newest.map(|stored| ReleaseSummary::of(shell, app, stored)),
            is_not_newer: version_code(artifact)
                .zip(published)
                .is_some_and(|(version, published)| version <= published),
        }
    }
}

/// Finds the artifact that the address or the form names. A form with the digest of none is shown with its error.
pub(super) async fn find_artifact(
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

/// Returns the published release that a release of the artifact replaces: that of the resource in the form, or of the
/// package in the file.
pub(super) async fn find_replaced(
    visit: &Visit,
    path: &AppPath,
    attempt: Option<&Attempt>,
    artifact: &Artifact,
) -> Result<Option<Versioned<ReleaseRecord>>, PageError> {
    let entered = attempt.map(|attempt| attempt.input.get("identifier").trim());
    let Some(identifier) = entered
        .or(package_of(artifact))
        .and_then(|name| Identifier::parse(name).ok())
    else {
        return Ok(None);
    };
    let (ctx, caller, app) = (&visit.ctx, visit.caller(false), &path.package_name);
    Ok(releases::find_newest_published(ctx, &caller, path.tenant_id, app, &identifier).await?)
}

/// Returns a warning if the file is of another package than the resource in the form. A resource whose newest published
/// release is of the same package has one of its own.
pub(super) async fn package_warning(
    visit: &Visit,
    path: &AppPath,
    attempt: Option<&Attempt>,
    artifact: &Artifact,
    newest: Option<&Versioned<ReleaseRecord>>,
) -> Result<Option<String>, PageError> {
    let entered = attempt.map_or("", |attempt| attempt.input.get("identifier").trim());
    let Some(package) = package_of(artifact) else {
        return Ok(None);
    };
    if entered.is_empty() || entered == package {
        return Ok(None);
    }
    let earlier = newest.and_then(|stored| stored.value.release.content.file.artifact.as_ref());
    if let Some(sha256) = earlier {
        let (ctx, caller) = (&visit.ctx, visit.caller(false));
        match artifacts::find_content(ctx, &caller, path.tenant_id, sha256).await {
            Ok(found) if package_of(&found.artifact.value) == Some(package) => return Ok(None),
            Ok(_) | Err(ServiceError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(warning_of(visit.texts(), package, entered)))
}

fn warning_of(t: &Texts, package: &str, resource: &str) -> String {
    let text = t.warn_other_package;
    text.replace("{package}", package).replace("{resource}", resource)
}

/// Returns `true` if the release in a form has a file that [`package_warning`] warns about.
pub(super) async fn is_of_other_package(
    visit: &Visit,
    path: &AppPath,
    attempt: &Attempt,
) -> Result<bool, PageError> {
    let attempt = Some(attempt);
    let Some(artifact) = find_artifact(visit, path, attempt).await? else {
        return Ok(false);
    };
    let newest = find_replaced(visit, path, attempt, &artifact).await?;
    let warning = package_warning(visit, path, attempt, &artifact, newest.as_ref()).await?;
    Ok(warning.is_some())
}

/// Returns the warning of a stored release if the address of its page asks for it, which the form of a new release does.
pub(super) async fn asked_warning(
    visit: &Visit,
    tenant: TenantId,
    record: &ReleaseRecord,
) -> Result<Option<String>, PageError> {
    let file = &record.release.content.file;
    let Some(sha256) = file.artifact.as_ref().filter(|_| visit.param(WARNING).is_some()) else {
        return Ok(None);
    };
    let (ctx, caller, resource) = (
        &visit.ctx,
        visit.caller(false),
        record.release.identifier.as_str(),
    );
    match artifacts::find_content(ctx, &caller, tenant, sha256).await {
        Ok(found) => {
            let package = package_of(&found.artifact.value).filter(|package| *package != resource);
            Ok(package.map(|package| warning_of(visit.texts(), package, resource)))
        }
        Err(ServiceError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn package_of(artifact: &Artifact) -> Option<&str> {
    artifact.facts.package().map(|package| package.package_name)
}

/// Returns the version code of a package, unless it is too large for a release.
fn version_code(artifact: &Artifact) -> Option<i64> {
    let code = artifact.facts.package()?.version_code?;
    i64::try_from(code).ok()
}

/// Returns the values of a form that the file supplies.
pub(super) fn values(artifact: &Artifact) -> Values {
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
