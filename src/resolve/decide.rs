//! The eight steps of a check, in their order, for each resource of the app on its own:
//!
//! 1. [`switched_off`], 2. `is_current`, 3. `applies`, 4. `pin_of` and `is_within_pin` (the gates of one release),
//! 5. [`choose`], 6. [`stop_at_floor`], 7. [`compare`], 8. [`auto_install`].

use chrono::{DateTime, Utc};

use super::check::Check;
use super::compile::{CompiledRelease, PublishedApp, PublishedResource};
use super::gates::{Candidate, is_within_pin, pin_of};
use super::offer::Offer;
use super::verdict::Rule;
use crate::catalog::pin::PinMode;
use crate::catalog::release::{RecallMode, ReleaseState};
use crate::catalog::version::VersionCode;

/// What the server knows when it answers.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub now: DateTime<Utc>,
    /// The tenant's off switch: `false` offers nothing.
    pub offers_enabled: bool,
    /// The catalog has not been compared with the database for so long that a halt may have been missed.
    pub stale: bool,
}

/// The offers for a device, in the order of the answer. The check's memberships must be complete.
pub fn decide<'a>(app: &'a PublishedApp, check: &Check<'_>, situation: &Situation) -> Vec<Offer<'a>> {
    app.read_ahead();
    let old_package_name = old_package_name(app, check);
    app.resources
        .iter()
        .filter(|resource| !is_settled(app, resource, check))
        .filter_map(|resource| {
            let decision = decide_resource(app, resource, check, situation);
            Some(Offer {
                is_rollback: matches!(decision.outcome, Outcome::Rollback(_)),
                auto_install: decision.auto_install,
                old_package_name,
                app,
                resource,
                release: decision.outcome.release()?,
            })
        })
        .collect()
}

/// Whether step 7 comes to nothing whatever is chosen: so it is for most resources of most devices, which are told
/// without a look at their releases.
fn is_settled(app: &PublishedApp, resource: &PublishedResource, check: &Check<'_>) -> bool {
    !resource.has_recalled
        && !resource.repair_on_mismatch
        && resource.highest_version <= installed_version(app, resource, check)
}

/// How the decision on one resource went.
pub(super) struct Decision<'a> {
    pub(super) switched_off: Option<Rule>,
    pub(super) installed: VersionCode,
    pub(super) pin: Option<PinMode>,
    /// The highest release that passes, before floors.
    pub(super) highest: Option<&'a CompiledRelease>,
    /// The release after floors.
    pub(super) choice: Option<&'a CompiledRelease>,
    pub(super) outcome: Outcome<'a>,
    auto_install: bool,
}

/// What comparing the choice with what is installed came to.
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
    app: &'a PublishedApp,
    resource: &'a PublishedResource,
    check: &Check<'_>,
    situation: &Situation,
) -> Decision<'a> {
    let installed = installed_version(app, resource, check);
    let mut decision = Decision {
        switched_off: switched_off(app, resource, situation),
        installed,
        pin: pin_of(resource, check, situation.now),
        highest: None,
        choice: None,
        outcome: Outcome::Nothing,
        auto_install: false,
    };
    if decision.switched_off.is_some() {
        return decision;
    }
    let passes = |release: &CompiledRelease| gates(app, release, check, situation, decision.pin).is_ok();
    decision.highest = choose(app.releases_of(resource), passes);
    decision.choice = stop_at_floor(app, resource, installed, decision.highest, passes);
    decision.outcome = compare(app, resource, installed, decision.choice, decision.pin, check);
    decision.auto_install = auto_install(app, resource, installed, decision.outcome, check, situation);
    decision
}

/// For the app itself the request's version, for any other resource its entry in `old_versions`. A resource that has
/// no name counts as the newest, so that none of its releases is offered.
fn installed_version(app: &PublishedApp, resource: &PublishedResource, check: &Check<'_>) -> VersionCode {
    if resource.is_app {
        check.version_code
    } else {
        let identifier = app.identifier_of(resource);
        identifier.map_or(VersionCode::MAX, |identifier| {
            check.old_versions.version_of(identifier)
        })
    }
}

/// Step 1: a tenant, app or resource that is switched off offers nothing.
fn switched_off(app: &PublishedApp, resource: &PublishedResource, situation: &Situation) -> Option<Rule> {
    if !situation.offers_enabled {
        Some(Rule::TenantOff)
    } else if !app.enabled {
        Some(Rule::AppOff)
    } else if !resource.enabled {
        Some(Rule::ResourceOff)
    } else {
        None
    }
}

/// Steps 2 to 4 for one release; the error is the first rule that does not let it through.
pub(super) fn gates(
    app: &PublishedApp,
    release: &CompiledRelease,
    check: &Check<'_>,
    situation: &Situation,
    pin: Option<PinMode>,
) -> Result<(), Rule> {
    let candidate = candidate(app, release);
    candidate.is_current(situation.now)?;
    candidate.applies(check, situation)?;
    is_within_pin(release, pin)
}

fn candidate<'a>(app: &'a PublishedApp, release: &'a CompiledRelease) -> Candidate<'a> {
    Candidate {
        release,
        targets: app.targets_of(release),
    }
}

/// Step 5: the highest version that passes. Releases stand highest first, so the first that passes wins.
fn choose(
    releases: &[CompiledRelease],
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&CompiledRelease> {
    releases.iter().find(|release| passes(release))
}

/// Step 6: the lowest passing floor between what is installed and the choice. Fresh installs skip floors.
fn stop_at_floor<'a>(
    app: &'a PublishedApp,
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&'a CompiledRelease> {
    let chosen = choice?.version_code;
    if installed == 0 || !resource.has_floors {
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

/// Step 7: the choice against what is installed.
fn compare<'a>(
    app: &'a PublishedApp,
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

/// The installed version is newer than the choice, or there is none: only its own recall can say something.
fn compare_with_recalled<'a>(
    app: &'a PublishedApp,
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

/// Whether the device sent another digest for the version it has, and the resource repairs.
fn needs_repair(
    app: &PublishedApp,
    resource: &PublishedResource,
    release: &CompiledRelease,
    check: &Check<'_>,
) -> bool {
    resource.repair_on_mismatch
        && app
            .identifier_of(resource)
            .and_then(|identifier| check.old_versions.md5_of(identifier, release.version_code))
            .is_some_and(|sent| !sent.as_bytes().eq_ignore_ascii_case(app.md5_of(release)))
}

/// Step 8: the choice says so itself, or an applicable mandatory release lies in (installed, chosen]: urgency
/// survives skipping, and a pin that forbids the mandatory release.
fn auto_install(
    app: &PublishedApp,
    resource: &PublishedResource,
    installed: VersionCode,
    outcome: Outcome<'_>,
    check: &Check<'_>,
    situation: &Situation,
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
            candidate.is_current(situation.now).is_ok() && candidate.applies(check, situation).is_ok()
        })
}

/// The old name that the device asked under, else the first old name, else nothing.
fn old_package_name<'a>(app: &'a PublishedApp, check: &Check<'_>) -> &'a str {
    let names = &app.old_package_names;
    names
        .iter()
        .find(|name| name.as_str() == check.package_name)
        .or(names.first())
        .map_or("", |name| name.as_str())
}
