//! The eight steps of a check, in their order, for each resource of the app on its own:
//!
//! 1. [`switched_off`], 2. `is_candidate`, 3. `applies`, 4. `pin_of` and `is_within_pin` (the gates of one release),
//! 5. [`choose`], 6. [`stop_at_floor`], 7. [`compare`], 8. [`auto_install`].

use chrono::{DateTime, Utc};

use super::check::Check;
use super::compile::{CompiledRelease, PublishedApp, PublishedResource};
use super::gates::{applies, is_candidate, is_within_pin, pin_of};
use super::offer::{Offer, OfferStatus};
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
pub fn decide<'a>(app: &'a PublishedApp, check: &Check, situation: &Situation) -> Vec<Offer<'a>> {
    app.resources
        .iter()
        .filter_map(|resource| {
            decide_resource(app, resource, check, situation).into_offer(app, resource, check)
        })
        .collect()
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
    app: &PublishedApp,
    resource: &'a PublishedResource,
    check: &Check,
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
    let passes = |release: &CompiledRelease| gates(release, check, situation, decision.pin).is_ok();
    decision.highest = choose(resource, passes);
    decision.choice = stop_at_floor(resource, installed, decision.highest, passes);
    decision.outcome = compare(resource, installed, decision.choice, decision.pin, check);
    decision.auto_install = auto_install(resource, installed, decision.outcome, check, situation);
    decision
}

/// For the app itself the request's version, for any other resource its entry in `old_versions`.
fn installed_version(app: &PublishedApp, resource: &PublishedResource, check: &Check) -> VersionCode {
    let identifier = &resource.resource.identifier;
    if app.app.is_itself(identifier) {
        check.version_code
    } else {
        check.old_versions.version_of(identifier.as_str())
    }
}

/// Step 1: a tenant, app or resource that is switched off offers nothing.
fn switched_off(app: &PublishedApp, resource: &PublishedResource, situation: &Situation) -> Option<Rule> {
    if !situation.offers_enabled {
        Some(Rule::TenantOff)
    } else if !app.app.enabled {
        Some(Rule::AppOff)
    } else if !resource.resource.enabled {
        Some(Rule::ResourceOff)
    } else {
        None
    }
}

/// Steps 2 to 4 for one release; the error is the first rule that does not let it through.
pub(super) fn gates(
    release: &CompiledRelease,
    check: &Check,
    situation: &Situation,
    pin: Option<PinMode>,
) -> Result<(), Rule> {
    is_candidate(release, situation.now)?;
    applies(release, check, situation)?;
    is_within_pin(release, pin)
}

/// Step 5: the highest version that passes. Releases stand highest first, so the first that passes wins.
fn choose(
    resource: &PublishedResource,
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&CompiledRelease> {
    resource.releases.iter().find(|release| passes(release))
}

/// Step 6: the lowest passing floor between what is installed and the choice. Fresh installs skip floors.
fn stop_at_floor<'a>(
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    passes: impl Fn(&CompiledRelease) -> bool,
) -> Option<&'a CompiledRelease> {
    let chosen = version_of(choice?);
    if installed == 0 {
        return choice;
    }
    resource
        .releases
        .iter()
        .rev()
        .filter(|release| release.release.content.floor)
        .filter(|release| installed < version_of(release) && version_of(release) < chosen)
        .find(|release| passes(release))
        .or(choice)
}

/// Step 7: the choice against what is installed.
fn compare<'a>(
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    pin: Option<PinMode>,
    check: &Check,
) -> Outcome<'a> {
    match choice {
        Some(release) if installed < version_of(release) => Outcome::Update(release),
        Some(release) if installed == version_of(release) => {
            if needs_repair(resource, release, check) {
                Outcome::Repair(release)
            } else {
                Outcome::Nothing
            }
        }
        _ => compare_with_recalled(resource, installed, choice, pin),
    }
}

/// The installed version is newer than the choice, or there is none: only its own recall can say something.
fn compare_with_recalled<'a>(
    resource: &'a PublishedResource,
    installed: VersionCode,
    choice: Option<&'a CompiledRelease>,
    pin: Option<PinMode>,
) -> Outcome<'a> {
    let recalled = resource
        .releases
        .iter()
        .find_map(|release| match release.release.state {
            ReleaseState::Recalled(mode) if version_of(release) == installed => Some((release, mode)),
            _ => None,
        });
    match (recalled, choice) {
        (Some((_, RecallMode::Rollback)), Some(older)) if resource.resource.kind.can_be_rolled_back() => {
            Outcome::Rollback(older)
        }
        (Some((release, RecallMode::Removal)), _) if pin != Some(PinMode::Hold) => Outcome::Removal(release),
        _ => Outcome::Nothing,
    }
}

/// Whether the device sent another digest for the version it has, and the resource repairs.
fn needs_repair(resource: &PublishedResource, release: &CompiledRelease, check: &Check) -> bool {
    let identifier = resource.resource.identifier.as_str();
    resource.resource.repair_on_mismatch
        && check
            .old_versions
            .md5_of(identifier, version_of(release))
            .is_some_and(|sent| !sent.eq_ignore_ascii_case(release.release.content.file.md5.as_str()))
}

/// Step 8: the choice says so itself, or an applicable mandatory release lies in (installed, chosen]: urgency
/// survives skipping, and a pin that forbids the mandatory release.
fn auto_install(
    resource: &PublishedResource,
    installed: VersionCode,
    outcome: Outcome<'_>,
    check: &Check,
    situation: &Situation,
) -> bool {
    let Some(chosen) = outcome.release() else {
        return false;
    };
    chosen.release.content.auto_install
        || resource
            .releases
            .iter()
            .filter(|release| release.release.content.mandatory)
            .filter(|release| installed < version_of(release) && version_of(release) <= version_of(chosen))
            .any(|release| {
                is_candidate(release, situation.now).is_ok() && applies(release, check, situation).is_ok()
            })
}

pub(super) fn version_of(release: &CompiledRelease) -> VersionCode {
    release.release.content.version_code
}

impl<'a> Decision<'a> {
    fn into_offer(
        self,
        app: &'a PublishedApp,
        resource: &'a PublishedResource,
        check: &Check,
    ) -> Option<Offer<'a>> {
        let release = self.outcome.release()?;
        let status = match self.outcome {
            Outcome::Removal(_) => OfferStatus::Removal,
            _ => OfferStatus::Install,
        };
        Some(Offer {
            status,
            is_rollback: matches!(self.outcome, Outcome::Rollback(_)),
            auto_install: self.auto_install,
            old_package_name: old_package_name(app, check),
            app: &app.app,
            resource: &resource.resource,
            release: &release.release,
        })
    }
}

/// The old name that the device asked under, else the first old name, else nothing.
fn old_package_name<'a>(app: &'a PublishedApp, check: &Check) -> &'a str {
    let names = &app.app.old_package_names;
    names
        .iter()
        .find(|name| name.as_str() == check.package_name)
        .or(names.first())
        .map_or("", |name| name.as_str())
}
