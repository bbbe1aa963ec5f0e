//! What a release must pass for one device: steps 2 to 4 of the decision. Each gate names the rule that closed it.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::check::Check;
use super::compile::{CompiledPin, CompiledRelease, PublishedResource};
use super::decide::Situation;
use super::verdict::Rule;
use crate::catalog::org::{Level, LevelCodes, OrgScope};
use crate::catalog::pin::PinMode;
use crate::catalog::release::ReleaseState;
use crate::catalog::rollout::{RolloutUnit, Share, bucket};

/// Step 2: published, and within its time window.
pub(super) fn is_candidate(compiled: &CompiledRelease, now: DateTime<Utc>) -> Result<(), Rule> {
    let release = &compiled.release;
    if release.state != ReleaseState::Published {
        return Err(Rule::State);
    }
    if release.content.starts_at.is_some_and(|starts_at| now < starts_at) {
        return Err(Rule::StartsAt);
    }
    if release.content.ends_at.is_some_and(|ends_at| now >= ends_at) {
        return Err(Rule::EndsAt);
    }
    Ok(())
}

/// Step 3: everything that targets a release.
pub(super) fn applies(compiled: &CompiledRelease, check: &Check, situation: &Situation) -> Result<(), Rule> {
    host_version_fits(compiled, check)?;
    device_type_fits(compiled, check)?;
    org_fits(compiled, check)?;
    attributes_fit(compiled, check)?;
    rollout_reaches(compiled, check, situation)
}

fn host_version_fits(compiled: &CompiledRelease, check: &Check) -> Result<(), Rule> {
    let targeting = &compiled.release.content.targeting;
    let host = check.version_code;
    let too_old = targeting.host_version_min.is_some_and(|min| host < min);
    let too_new = targeting.host_version_max.is_some_and(|max| host > max);
    passes(!too_old && !too_new, Rule::HostVersion)
}

/// A device that sends no type matches only an empty list.
fn device_type_fits(compiled: &CompiledRelease, check: &Check) -> Result<(), Rule> {
    let types = &compiled.release.content.targeting.device_types;
    let listed = check
        .device_type
        .as_deref()
        .is_some_and(|own| types.iter().any(|listed| listed.as_str() == own));
    passes(types.is_empty() || listed, Rule::DeviceType)
}

/// The deepest matching scope must be deeper than the deepest matching exclusion: most specific wins, a tie excludes.
fn org_fits(compiled: &CompiledRelease, check: &Check) -> Result<(), Rule> {
    let targeting = &compiled.release.content.targeting;
    let scope = if targeting.org_scopes.is_empty() {
        Some(0)
    } else {
        deepest_match(&targeting.org_scopes, &check.memberships)
    };
    let exclusion = deepest_match(&targeting.org_exclusions, &check.memberships);
    passes(scope.is_some() && scope > exclusion, Rule::Org)
}

/// With several memberships a scope that matches any of them counts.
fn deepest_match(scopes: &[OrgScope], memberships: &[LevelCodes]) -> Option<usize> {
    scopes
        .iter()
        .map(OrgScope::codes)
        .filter(|scope| {
            memberships
                .iter()
                .any(|membership| scope.is_matched_by(membership))
        })
        .map(LevelCodes::depth)
        .max()
}

fn attributes_fit(compiled: &CompiledRelease, check: &Check) -> Result<(), Rule> {
    let all_hold = compiled
        .rules
        .iter()
        .all(|(name, test)| test.holds(check.attribute(name)));
    passes(all_hold, Rule::Attributes)
}

fn rollout_reaches(compiled: &CompiledRelease, check: &Check, situation: &Situation) -> Result<(), Rule> {
    let share = compiled.release.content.rollout.share;
    if share == Share::EVERYBODY || compiled.allow_list.contains(&check.device_id) {
        return Ok(());
    }
    // A stale node cannot see whether the rollout was halted, so it widens none.
    if situation.stale {
        return Err(Rule::Stale);
    }
    passes(is_selected(compiled, share, check), Rule::Rollout)
}

fn is_selected(compiled: &CompiledRelease, share: Share, check: &Check) -> bool {
    let key = compiled.rollout_key.as_str();
    let by_device = || share.selects(bucket(key, ["d:", &check.device_id]));
    match compiled.release.content.rollout.unit {
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
            // One selected place suffices.
            places.any(|place| share.selects(bucket(key, [place_unit(level, place).as_str()])))
        }
    }
}

/// The unit of an org node, `o3:HM/HM-SH/8007`. Levels that stay unknown are left out, so that a store keeps together.
fn place_unit(level: Level, place: &LevelCodes) -> String {
    let codes: Vec<_> = place.down_to(level).collect();
    format!("o{}:{}", level.number(), codes.join("/"))
}

/// Step 4: the pin that counts for this device. A device's own beats a node's, a deeper node's beats a shallower
/// one's, and of equally deep ones the strictest counts.
pub(super) fn pin_of(resource: &PublishedResource, check: &Check, now: DateTime<Utc>) -> Option<PinMode> {
    let counts = |pin: &CompiledPin| pin.expires_at.is_none_or(|expires_at| now < expires_at);
    let own = resource
        .device_pins
        .get(&check.device_id)
        .filter(|pin| counts(pin));
    if let Some(pin) = own {
        return Some(pin.mode);
    }
    resource
        .node_pins
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

/// Step 4: whether the pin lets a version through.
pub(super) fn is_within_pin(compiled: &CompiledRelease, pin: Option<PinMode>) -> Result<(), Rule> {
    let version = compiled.release.content.version_code;
    passes(pin.is_none_or(|pin| pin.allows(version)), Rule::Pin)
}

fn passes(open: bool, rule: Rule) -> Result<(), Rule> {
    if open { Ok(()) } else { Err(rule) }
}
