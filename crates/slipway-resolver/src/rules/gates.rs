//! Gates that a release must pass for one device: steps 2 to 4 of the decision. Each gate returns the rule that
//! excludes the release.

use std::borrow::Cow;
use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::rule::Rule;
use super::scopes::deepest_match;
use crate::check::Check;
use crate::check_context::CheckContext;
use crate::layout::{CompiledPin, CompiledRelease, PublishedResource, Targets};
use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::min_sdk::{MinSdk, SDK_ATTRIBUTE};
use slipway_domain::catalog::org::Level;
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::rollout::{RolloutUnit, Share, bucket};

/// Release and its targets.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) release: &'a CompiledRelease,
    pub(super) targets: Targets<'a>,
}

impl Candidate<'_> {
    /// Step 2: requires a published release within its time window.
    pub(super) fn require_current(self, now: DateTime<Utc>) -> Result<(), Rule> {
        if self.release.state != ReleaseState::Published {
            return Err(Rule::State);
        }
        let targets = self.targets.row;
        if targets.starts_at.is_some_and(|starts_at| now < starts_at) {
            return Err(Rule::StartsAt);
        }
        if targets.ends_at.is_some_and(|ends_at| now >= ends_at) {
            return Err(Rule::EndsAt);
        }
        Ok(())
    }

    /// Step 3: requires that all targets of the release match the device.
    pub(super) fn require_targeted(self, check: &Check<'_>, context: &CheckContext) -> Result<(), Rule> {
        host_version_fits(self.targets, check)?;
        device_type_fits(self.targets, check)?;
        min_sdk_fits(self.release, check)?;
        org_fits(self.targets, check)?;
        attributes_fit(self.targets, check)?;
        self.rollout_reaches(check, context)
    }

    fn rollout_reaches(self, check: &Check<'_>, context: &CheckContext) -> Result<(), Rule> {
        let share = self.release.share;
        if share == Share::EVERYBODY || self.targets.allow_list().contains(check.device_id) {
            return Ok(());
        }
        // A stale node cannot see whether the rollout was halted, so it withholds partial rollouts.
        if context.stale {
            return Err(Rule::Stale);
        }
        passes(self.is_selected(check), Rule::Rollout)
    }

    fn is_selected(self, check: &Check<'_>) -> bool {
        let share = self.release.share;
        let key = match self.targets.rollout_key() {
            Some(key) => Cow::Borrowed(key),
            None => Cow::Owned(self.release.id.to_string()),
        };
        let by_device = || share.selects(bucket(&key, ["d:", check.device_id]));
        match self.release.unit {
            RolloutUnit::Device => by_device(),
            RolloutUnit::Level(level) => {
                let mut places = check
                    .memberships
                    .iter()
                    .filter(|membership| membership.get(level).is_some())
                    .peekable();
                if places.peek().is_none() {
                    return by_device();
                }
                // One selected place is enough.
                places.any(|place| share.selects(bucket(&key, [org_rollout_unit(level, place).as_str()])))
            }
        }
    }
}

fn host_version_fits(targets: Targets<'_>, check: &Check<'_>) -> Result<(), Rule> {
    let host = check.version_code;
    let too_old = targets.row.host_version_min.is_some_and(|min| host < min);
    let too_new = targets.row.host_version_max.is_some_and(|max| host > max);
    passes(!too_old && !too_new, Rule::HostVersion)
}

/// Requires that the device's type is listed, or that no type is listed.
fn device_type_fits(targets: Targets<'_>, check: &Check<'_>) -> Result<(), Rule> {
    let types = targets.device_types();
    let is_listed = || check.device_type.is_some_and(|own| types.contains(own));
    passes(types.is_empty() || is_listed(), Rule::DeviceType)
}

/// Requires that the device's API level, if it was sent, is not below the minimum of the file.
fn min_sdk_fits(release: &CompiledRelease, check: &Check<'_>) -> Result<(), Rule> {
    let admits = |min_sdk: MinSdk| min_sdk.admits(check.attribute(SDK_ATTRIBUTE));
    passes(release.min_sdk.is_none_or(admits), Rule::MinSdk)
}

/// Requires that the deepest matching scope is deeper than the deepest matching exclusion. The most specific entry
/// wins; a tie excludes.
fn org_fits(targets: Targets<'_>, check: &Check<'_>) -> Result<(), Rule> {
    let scopes = targets.scopes();
    let scope = if scopes.is_empty() {
        Some(0)
    } else {
        deepest_match(scopes, &check.memberships)
    };
    let exclusion = deepest_match(targets.exclusions(), &check.memberships);
    passes(scope.is_some() && scope > exclusion, Rule::Org)
}

fn attributes_fit(targets: Targets<'_>, check: &Check<'_>) -> Result<(), Rule> {
    let all_hold = targets
        .rules()
        .iter()
        .all(|compiled| compiled.test.matches(check.attribute(compiled.rule.name())));
    passes(all_hold, Rule::Attributes)
}

/// Returns the rollout unit of an org node, `o3:HM/HM-SH/8007`. Unknown levels are omitted, so that all devices of a
/// store have the same unit.
fn org_rollout_unit(level: Level, place: &Membership<'_>) -> String {
    let codes: Vec<_> = place.down_to(level).collect();
    format!("o{}:{}", level.number(), codes.join("/"))
}

/// Step 4: returns the pin that applies to this device. A pin of the device overrides one of a node, and a deeper node
/// overrides a shallower one. Of equally deep nodes, the strictest pin applies.
pub(super) fn pin_of(resource: &PublishedResource, check: &Check<'_>, now: DateTime<Utc>) -> Option<PinMode> {
    let counts = |pin: &CompiledPin| pin.expires_at.is_none_or(|expires_at| now < expires_at);
    let pins = resource.pins.as_deref()?;
    let own = pins.of_devices.get(check.device_id).filter(|pin| counts(pin));
    if let Some(pin) = own {
        return Some(pin.mode);
    }
    pins.of_nodes
        .iter()
        .filter(|(node, pin)| {
            counts(pin)
                && check
                    .memberships
                    .iter()
                    .any(|membership| node.is_matched_by(membership))
        })
        .min_by_key(|(node, pin)| (Reverse(node.depth()), pin.mode.strictness()))
        .map(|(_, pin)| pin.mode)
}

/// Step 4: requires that the pin allows the version.
pub(super) fn require_allowed_by_pin(compiled: &CompiledRelease, pin: Option<PinMode>) -> Result<(), Rule> {
    passes(pin.is_none_or(|pin| pin.allows(compiled.version_code)), Rule::Pin)
}

/// Step 4: requires that the file can be downloaded.
pub(super) fn require_available(compiled: &CompiledRelease) -> Result<(), Rule> {
    passes(!compiled.file_unavailable, Rule::FileUnavailable)
}

fn passes(open: bool, rule: Rule) -> Result<(), Rule> {
    if open { Ok(()) } else { Err(rule) }
}
