//! Releases of a published app as people read them: their states, and their targets in words.

use super::decide::candidate;
use super::gates::Candidate;
use crate::layout::{PublishedApp, Scope, Targets};
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::release::ReleaseState;
use slipway_domain::catalog::rollout::Share;
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::targeting_words::{Audience, Condition};
use slipway_domain::catalog::text::DeviceType;
use slipway_domain::catalog::version::VersionCode;

/// Resource with the releases from which checks are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSummary {
    pub identifier: String,
    pub enabled: bool,
    /// Highest version first.
    pub releases: Vec<ReleaseSummary>,
    /// Number of releases that were omitted.
    pub left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSummary {
    pub id: ReleaseId,
    pub version_code: VersionCode,
    pub state: ReleaseState,
    pub share: Share,
    /// Targeting in words.
    pub targeting: String,
}

/// Summarizes the resources of an app, with up to `limit` releases each.
pub fn summarize(app: &PublishedApp, limit: usize, language: Language) -> Vec<ResourceSummary> {
    let mut summaries = Vec::new();
    for part in app.parts.iter() {
        for resource in &part.resources {
            let all = part.releases_of(resource);
            let shown = all.iter().take(limit).map(|release| ReleaseSummary {
                id: release.id,
                version_code: release.version_code,
                state: release.state,
                share: release.share,
                targeting: in_words(candidate(part, release), language),
            });
            summaries.push(ResourceSummary {
                identifier: part.identifier_of(resource).to_owned(),
                enabled: part.enabled && resource.enabled,
                releases: shown.collect(),
                left_out: all.len().saturating_sub(limit),
            });
        }
    }
    summaries
}

/// Returns one of the conditions of a release in words; an empty text if it does not have it.
pub(super) fn condition_in_words(
    candidate: Candidate<'_>,
    condition: Condition,
    language: Language,
) -> String {
    let targeting = targeting_of(candidate.targets);
    let words = audience(candidate, &targeting).condition_in_words(condition, language);
    words.unwrap_or_default()
}

fn in_words(candidate: Candidate<'_>, language: Language) -> String {
    let targeting = targeting_of(candidate.targets);
    audience(candidate, &targeting).in_words(language)
}

fn audience<'a>(Candidate { release, targets }: Candidate<'_>, targeting: &'a Targeting) -> Audience<'a> {
    Audience {
        targeting,
        share: release.share,
        unit: release.unit,
        listed_devices: targets.allow_list().len(),
        starts_at: targets.row.starts_at,
        ends_at: targets.row.ends_at,
    }
}

/// Returns the targeting as the release states it, without the allow-list, of which only the length is worded.
fn targeting_of(targets: Targets<'_>) -> Targeting {
    let rules = targets.rules().iter();
    Targeting {
        org_scopes: targets.scopes().iter().filter_map(Scope::to_org_scope).collect(),
        org_exclusions: targets
            .exclusions()
            .iter()
            .filter_map(Scope::to_org_scope)
            .collect(),
        device_types: targets
            .device_types()
            .iter()
            .filter_map(|text| DeviceType::parse(text).ok())
            .collect(),
        host_version_min: targets.row.host_version_min,
        host_version_max: targets.row.host_version_max,
        attribute_rules: rules.map(|compiled| compiled.rule.clone()).collect(),
        device_ids: Vec::new(),
    }
}
