//! What targets a release, in a form made for matching. Most releases have none of it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scopes::ScopeIndex;
use crate::catalog::attribute::{AttributeRule, RuleTest};
use crate::catalog::release::ReleaseContent;
use crate::catalog::text::{DeviceType, RolloutKey};
use crate::catalog::version::VersionCode;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Targets {
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) host_version_min: Option<VersionCode>,
    pub(super) host_version_max: Option<VersionCode>,
    /// Sorted.
    pub(super) device_types: Box<[DeviceType]>,
    pub(super) scopes: ScopeIndex,
    pub(super) exclusions: ScopeIndex,
    pub(super) rules: Box<[CompiledRule]>,
    pub(super) allow_list: HashSet<Box<str>>,
    /// The rollout's key, when it is not the release's id.
    pub(super) rollout_key: Option<RolloutKey>,
}

/// A rule as it was written, and made for testing.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: AttributeRule,
    pub(super) test: RuleTest,
}

impl Targets {
    fn new(content: &ReleaseContent) -> Self {
        let targeting = &content.targeting;
        let mut device_types = targeting.device_types.clone();
        device_types.sort();
        Self {
            starts_at: content.starts_at,
            ends_at: content.ends_at,
            host_version_min: targeting.host_version_min,
            host_version_max: targeting.host_version_max,
            device_types: device_types.into(),
            scopes: ScopeIndex::new(&targeting.org_scopes),
            exclusions: ScopeIndex::new(&targeting.org_exclusions),
            rules: targeting
                .attribute_rules
                .iter()
                .cloned()
                .map(CompiledRule::new)
                .collect(),
            allow_list: targeting.device_ids.iter().map(|id| id.as_str().into()).collect(),
            rollout_key: content.rollout.key.clone(),
        }
    }
}

impl CompiledRule {
    /// A rule is checked when it is made, so compiling it again cannot fail; were it to, it must not let through.
    fn new(rule: AttributeRule) -> Self {
        let test = rule.compile().unwrap_or(RuleTest::OneOf(Vec::new()));
        Self { rule, test }
    }
}

/// Kept as it was written: its value is any JSON, which a binary format can only hold as text.
impl Serialize for CompiledRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.rule).map_err(serde::ser::Error::custom)?;
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CompiledRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map(Self::new)
            .map_err(serde::de::Error::custom)
    }
}

/// Which of an app's targets a release has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TargetsIndex(u32);

impl TargetsIndex {
    /// The release is for everybody, always.
    const NONE: Self = Self(u32::MAX);

    pub(super) fn get(self, all: &[Targets]) -> Option<&Targets> {
        all.get(self.0 as usize)
    }
}

/// Collects the targets of an app's releases, equal ones once.
#[derive(Default)]
pub(super) struct TargetsCollector {
    all: Vec<Targets>,
    known: HashMap<String, TargetsIndex>,
}

impl TargetsCollector {
    pub(super) fn index_of(&mut self, content: &ReleaseContent) -> TargetsIndex {
        let untargeted = content.targeting.is_for_everybody()
            && content.starts_at.is_none()
            && content.ends_at.is_none()
            && content.rollout.key.is_none();
        if untargeted {
            return TargetsIndex::NONE;
        }
        let written = (
            &content.targeting,
            content.starts_at,
            content.ends_at,
            content.rollout.key.as_ref(),
        );
        // Texts and numbers always serialise.
        let key = serde_json::to_string(&written).unwrap_or_default();
        *self.known.entry(key).or_insert_with(|| {
            self.all.push(Targets::new(content));
            TargetsIndex(u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX))
        })
    }

    pub(super) fn into_all(self) -> Box<[Targets]> {
        self.all.into()
    }
}
