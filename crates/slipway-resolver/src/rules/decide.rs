//! The eight steps of a check in their order, for each resource of the app separately:
//!
//! 1. [`switched_off`], 2. `require_current`, 3. `require_targeted`, 4. `pin_of`, `require_allowed_by_pin` and
//!    `require_available` (the gates of one release), 5. [`choose`], 6. [`apply_floor`], 7. [`compare`],
//!    8. [`auto_install`].

use super::gates::{Candidate, pin_of, require_allowed_by_pin, require_available};
use super::offer::Offer;
use super::rule::Rule;
use crate::check::Check;
use crate::check_context::CheckContext;
use crate::layout::{AppPart, CompiledRelease, PublishedApp, PublishedResource};
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::release::{RecallMode, ReleaseState};
use slipway_domain::catalog::version::VersionCode;

/// Returns the offers for a device, in the order of the answer. The check's memberships must be completed first.
pub fn decide<'a>(app: &'a PublishedApp, check: &Check<'_>, context: &CheckContext) -> Vec<Offer<'a>> {
    let old_package_name = old_package_name(app, check);
    let mut offers = Vec::new();
    for part in app.parts.iter() {
        offers.extend(decide_part(part, old_package_name, check, context));
    }
    offers
}

fn decide_part<'a>(
    app: &'a AppPart,
    old_package_name: &'a str,
    check: &Check<'_>,
    context: &CheckContext,
) -> impl Iterator<Item = Offer<'a>> {
    app.prefetch();
    app.resources
        .iter()
        .filter(|resource| !needs_no_decision(app, resource, check))
        .filter_map(move |resource| {
            let decision = decide_resource(app, resource, check, context);
            Some(Offer {
                is_rollback: matches!(decision.outcome, Outcome::Rollback(_)),
                auto_install: decision.auto_install,
                old_package_name,
                app,
                resource,
                release: decision.outcome.release()?,
            })
        })
}

/// Returns `true` if step 7 yields nothing for any choice. This holds for most resources of most devices, and avoids
/// reading their releases.
fn needs_no_decision(app: &AppPart, resource: &PublishedResource, check: &Check<'_>) -> bool {
    !resource.has_recalled
        && !resource.repair_on_mismatch
        && resource.highest_version <= installed_version(app, resource, check)
}

/// Decision on one resource, with its intermediate results.
pub(super) struct Decision<'a> {
    pub(super) switched_off: Option<Rule>,
    pub(super) installed: VersionCode,
    pub(super) pin: Option<PinMode>,
    /// Highest release that passes, before floors.
    pub(super) highest: Option<&'a CompiledRelease>,
    /// Chosen release, after floors.
    pub(super) choice: Option<&'a CompiledRelease>,
    pub(super) outcome: Outcome<'a>,
    auto_install: bool,
}

/// Result of comparing the choice with the installed version.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    Nothing,
    Update(&'a CompiledRelease),
    Repair(&'a CompiledRelease),
    Rollback(&'a CompiledRelease),
    Removal(&'a CompiledRelease),
}

impl<'a> Outcome<'a> {
    pub(super) fn release(self) -> Option<&'a CompiledRelease> {
        match self {
            Self::Nothing => None,
            Self::Update(release)
            | Self::Repair(release)
            | Self::Rollback(release)
            | Self::Removal(release) => Some(release),
        }
    }
}

pub(super) fn decide_resource<'a>(
    app: &'a AppPart,
    resource: &'a PublishedResource,
    check: &Check<'_>,
    context: &CheckContext,
) -> Decision<'a> {
    let installed = installed_version(app, resource, check);
    let mut decision = Decision {
        switched_off: switched_off(app, resource, context),
        installed,
        pin: pin_of(resource, check, context.now),
        highest: None,
        choice: None,
        outcome: Outcome::Nothing,
        auto_install: false,
    };
    if decision.switched_off.is_some() {
        return decision;
    }
    let passes = |release: &CompiledRelease| gates(app, release, check, context, decision.pin).is_ok();
    decision.highest = choose(app.releases_of(resource), passes);
    decision.choice = apply_floor(app, resource, installed, decision.highest, passes);
    decision.outcome = compare(app, resource, installed, decision.choice, decision.pin, check);
    decision.auto_install = auto_install(app, resource, installed, decision.outcome, check, context);
    decision
}

/// Returns the request's version for the app itself, and the entry in `old_versions` for other resources.
fn installed_version(app: &AppPart, resource: &PublishedResource, check: &Check<'_>) -> VersionCode {
    if resource.is_app {
        check.version_code
    } else {
        check.old_versions.version_of(app.identifier_of(resource))
    }
}

/// Step 1: returns the switch that is off. A tenant, app or resource that is switched off offers nothing.
fn switched_off(app: &AppPart, resource: &PublishedResource, context: &CheckContext) -> Option<Rule> {
    if !context.offers_enabled {
        Some(Rule::TenantOff)
    } else if !app.enabled {
        Some(Rule::AppOff)
    } else if !resource.enabled {
        Some(Rule::ResourceOff)
    } else {
        None
    }
}

/// Steps 2 to 4 for one release. The error is the first rule that excludes the release.
pub(super) fn gates(
    app: &AppPart,
    release: &CompiledRelease,
    check: &Check<'_>,
    context: &CheckContext,
    pin: Option<PinMode>,
) -> Result<(), Rule> {
    let candidate = candidate(app, release);
    candidate.require_current(context.now)?;
    candidate.require_targeted(check, context)?;
    require_allowed_by_pin(release, pin)?;
    require_available(release)
}

pub(super) fn candidate<'a>(app: &'a AppPart, release: &'a CompiledRelease) -> Candidate<'a> {
    Candidate {
        release,
        targets: app.targets_of(release),
    }
}

/// Step 5: returns the highest version that passes. Releases are sorted highest first, so the first that passes is
/// chosen.
fn choose(
    releases: &[CompiledRelease],
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&CompiledRelease> {
    releases.iter().find(|release| passes(release))
}

/// Step 6: returns the lowest passing floor between the installed version and the choice, otherwise the choice. Fresh
/// installs skip floors.
fn apply_floor<'a>(
    app: &'a AppPart,
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&'a CompiledRelease> {
    let chosen = choice?.version_code;
    if installed == VersionCode::NOT_INSTALLED || !resource.has_floors {
        return choice;
    }
    app.releases_of(resource)
        .iter()
        .rev()
        .filter(|release| release.floor)
        .filter(|release| installed < release.version_code && release.version_code < chosen)
        .find(|release| passes(release))
        .or(choice)
}

/// Step 7: compares the choice with the installed version.
fn compare<'a>(
    app: &'a AppPart,
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    pin: Option<PinMode>,
    check: &Check<'_>,
) -> Outcome<'a> {
    match choice {
        Some(release) if installed < release.version_code => Outcome::Update(release),
        Some(release) if installed == release.version_code => {
            if needs_repair(app, resource, release, check) {
                Outcome::Repair(release)
            } else {
                Outcome::Nothing
            }
        }
        _ => compare_with_recalled(app, resource, installed, choice, pin),
    }
}

/// Step 7 without a choice, or with a choice older than the installed version. Only a recall of the installed version
/// can yield an offer.
fn compare_with_recalled<'a>(
    app: &'a AppPart,
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    pin: Option<PinMode>,
) -> Outcome<'a> {
    let releases = app.releases_of(resource);
    let first = releases.partition_point(|release| release.version_code > installed);
    let recalled = releases[first..]
        .iter()
        .take_while(|release| release.version_code == installed)
        .find_map(|release| match release.state {
            ReleaseState::Recalled(mode) => Some((release, mode)),
            _ => None,
        });
    match (recalled, choice) {
        (Some((_, RecallMode::Rollback)), Some(older)) if resource.can_be_rolled_back => {
            Outcome::Rollback(older)
        }
        (Some((release, RecallMode::Removal)), _) if pin != Some(PinMode::Hold) => Outcome::Removal(release),
        _ => Outcome::Nothing,
    }
}

/// Returns `true` if the resource repairs mismatches and the device sent another digest for its installed version.
fn needs_repair(
    app: &AppPart,
    resource: &PublishedResource,
    release: &CompiledRelease,
    check: &Check<'_>,
) -> bool {
    resource.repair_on_mismatch
        && check
            .old_versions
            .md5_of(app.identifier_of(resource), release.version_code)
            .is_some_and(|sent| !app.is_md5_of(resource, release, sent))
}

/// Step 8: returns `true` if the choice requires it, or if a mandatory release that applies lies in (installed,
/// chosen]. The mandatory release counts even if it is skipped, or forbidden by a pin.
fn auto_install(
    app: &AppPart,
    resource: &PublishedResource,
    installed: VersionCode,
    outcome: Outcome<'_>,
    check: &Check<'_>,
    context: &CheckContext,
) -> bool {
    let Some(chosen) = outcome.release() else {
        return false;
    };
    if chosen.auto_install || !resource.has_mandatory {
        return chosen.auto_install;
    }
    app.releases_of(resource)
        .iter()
        .filter(|release| release.mandatory)
        .filter(|release| installed < release.version_code && release.version_code <= chosen.version_code)
        .map(|release| candidate(app, release))
        .any(|candidate| {
            candidate.require_current(context.now).is_ok()
                && candidate.require_targeted(check, context).is_ok()
        })
}

/// Returns the old name that the device sent, otherwise the first old name, otherwise an empty text.
fn old_package_name<'a>(app: &'a PublishedApp, check: &Check<'_>) -> &'a str {
    let names = &app.old_package_names;
    names
        .iter()
        .find(|name| name.as_str() == check.package_name)
        .or(names.first())
        .map_or("", |name| name.as_str())
}
