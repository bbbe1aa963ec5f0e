//! Targets of releases, compiled for matching. Most releases have none.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::list_ref::{ListRef, index};
use super::prefetch::prefetch;
use super::scopes::{Scope, Scopes};
use super::string_pool::{StringPool, StringPoolBuilder, StringRef};
use slipway_domain::catalog::attribute::{AttributeRule, RuleTest};
use slipway_domain::catalog::org::OrgScope;
use slipway_domain::catalog::release::ReleaseContent;
use slipway_domain::catalog::text::{DeviceId, DeviceType};
use slipway_domain::catalog::version::VersionCode;

/// Targets of all releases of an app, without duplicates.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TargetsTable {
    rows: Box<[TargetsRow]>,
    /// Device types and allow-lists, each sorted.
    words: Box<[StringRef]>,
    /// Scopes and exclusions, each sorted.
    scopes: Box<[Scope]>,
    rules: Box<[CompiledRule]>,
}

/// Targets of one or more releases.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TargetsRow {
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) host_version_min: Option<VersionCode>,
    pub(super) host_version_max: Option<VersionCode>,
    device_types: ListRef,
    allow_list: ListRef,
    scopes: ListRef,
    exclusions: ListRef,
    rules: ListRef,
    rollout_key: StringRef,
}

/// Row with the lists and texts that it refers to.
#[derive(Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) row: &'a TargetsRow,
    table: &'a TargetsTable,
    texts: &'a StringPool,
}

/// Attribute rule in its source and compiled forms.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: AttributeRule,
    pub(super) test: RuleTest,
}

impl TargetsTable {
    pub(super) fn prefetch(&self) {
        prefetch(&self.rows, |row| row.device_types.start());
        prefetch(&self.words, |word| word.start());
        prefetch(&self.scopes, Scope::start);
        prefetch(&self.rules, CompiledRule::touch_texts);
    }

    /// Returns the targets, or `None` if the release is always for everybody. A missing row admits no device.
    pub(super) fn get<'a>(&'a self, index: TargetsIndex, texts: &'a StringPool) -> Option<Targets<'a>> {
        if index == TargetsIndex::UNTARGETED {
            return None;
        }
        Some(Targets {
            row: self.rows.get(index.0 as usize).unwrap_or(&TargetsRow::NO_DEVICE),
            table: self,
            texts,
        })
    }
}

impl TargetsRow {
    /// Targets that no device passes, because the time window has always ended.
    const NO_DEVICE: Self = Self {
        starts_at: None,
        ends_at: Some(DateTime::<Utc>::MIN_UTC),
        host_version_min: None,
        host_version_max: None,
        device_types: ListRef::INVALID,
        allow_list: ListRef::INVALID,
        scopes: ListRef::INVALID,
        exclusions: ListRef::INVALID,
        rules: ListRef::INVALID,
        rollout_key: StringRef::INVALID,
    };
}

/// A missing list or text admits no device.
impl<'a> Targets<'a> {
    /// Returns `true` if devices of this type are targeted. Devices without a type are targeted only if no type is
    /// listed.
    pub(super) fn accepts_device_type(self, own: Option<&str>) -> bool {
        self.row.device_types.is_empty() || own.is_some_and(|own| self.contains(self.row.device_types, own))
    }

    /// Returns `true` if the device is on the allow-list.
    pub(super) fn is_allow_listed(self, device: &str) -> bool {
        self.contains(self.row.allow_list, device)
    }

    fn contains(self, list_ref: ListRef, text: &str) -> bool {
        list_ref.of(&self.table.words).is_some_and(|words| {
            words
                .binary_search_by(|listed| self.texts.get(*listed).cmp(&Some(text)))
                .is_ok()
        })
    }

    /// Returns the scopes, or `None` if they are missing.
    pub(super) fn scopes(self) -> Option<Scopes<'a>> {
        let sorted = self.row.scopes.of(&self.table.scopes)?;
        Some(Scopes::new(sorted, self.texts))
    }

    /// Returns the exclusions, or `None` if they are missing.
    pub(super) fn exclusions(self) -> Option<Scopes<'a>> {
        let sorted = self.row.exclusions.of(&self.table.scopes)?;
        Some(Scopes::new(sorted, self.texts))
    }

    /// Returns the attribute rules, or `None` if they are missing.
    pub(super) fn rules(self) -> Option<&'a [CompiledRule]> {
        self.row.rules.of(&self.table.rules)
    }

    /// Returns the rollout key, empty if it is the release's id; `None` if it is missing.
    pub(super) fn rollout_key(self) -> Option<&'a str> {
        self.texts.get(self.row.rollout_key)
    }
}

impl CompiledRule {
    /// Compiles a rule. Rules are validated when they are created, so this cannot fail. If it did, the rule must admit
    /// no device.
    fn new(rule: AttributeRule) -> Self {
        let test = rule.compile().unwrap_or(RuleTest::OneOf(Vec::new()));
        Self { rule, test }
    }

    /// Reads something of each text that a test reads, for prefetching.
    fn touch_texts(&self) -> u32 {
        let first_byte = |text: &str| text.bytes().next().map_or(0, u32::from);
        let compared = match &self.test {
            RuleTest::OneOf(values) | RuleTest::NoneOf(values) => {
                values.first().map_or(0, |value| first_byte(value))
            }
            RuleTest::Semver(requirement) => {
                let first = requirement.comparators.first();
                first.map_or(0, |comparator| u32::from(comparator.minor.is_some()))
            }
            RuleTest::Compared { .. } | RuleTest::Exists(_) => 0,
        };
        first_byte(self.rule.name()) ^ compared
    }
}

/// Serialized in its source form: the value is any JSON, which a binary format can only contain as text.
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

/// Reference from a release to its app's targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct TargetsIndex(u32);

impl TargetsIndex {
    /// Release without targets.
    const UNTARGETED: Self = Self(u32::MAX);
    /// Release that admits no device, because there are too many rows. That many would not fit in memory.
    const NO_DEVICE: Self = Self(u32::MAX - 1);

    fn of_row(position: usize) -> Self {
        Self(index(position)).min(Self::NO_DEVICE)
    }
}

/// Builder of the targets of an app's releases, without duplicates.
#[derive(Default)]
pub(super) struct TargetsCollector {
    rows: Vec<TargetsRow>,
    words: Vec<StringRef>,
    scopes: Vec<Scope>,
    rules: Vec<CompiledRule>,
    known: HashMap<String, TargetsIndex>,
    known_rules: HashMap<String, ListRef>,
}

impl TargetsCollector {
    pub(super) fn index_of(
        &mut self,
        content: &ReleaseContent,
        texts: &mut StringPoolBuilder,
    ) -> TargetsIndex {
        let untargeted = content.targeting.is_for_everybody()
            && content.starts_at.is_none()
            && content.ends_at.is_none()
            && content.rollout.key.is_none();
        if untargeted {
            return TargetsIndex::UNTARGETED;
        }
        let key = canonical_json(&(
            &content.targeting,
            content.starts_at,
            content.ends_at,
            content.rollout.key.as_ref(),
        ));
        if let Some(known) = key.as_ref().and_then(|key| self.known.get(key)) {
            return *known;
        }
        let row = self.row(content, texts);
        let added = TargetsIndex::of_row(self.rows.len());
        self.rows.push(row);
        self.known.extend(key.map(|key| (key, added)));
        added
    }

    fn row(&mut self, content: &ReleaseContent, texts: &mut StringPoolBuilder) -> TargetsRow {
        let targeting = &content.targeting;
        let device_types = targeting.device_types.iter().map(DeviceType::as_str);
        let device_ids = targeting.device_ids.iter().map(DeviceId::as_str);
        let key = content.rollout.key.as_ref();
        TargetsRow {
            starts_at: content.starts_at,
            ends_at: content.ends_at,
            host_version_min: targeting.host_version_min,
            host_version_max: targeting.host_version_max,
            device_types: self.add_words(device_types.collect(), texts),
            allow_list: self.add_words(device_ids.collect(), texts),
            scopes: ListRef::append(&mut self.scopes, Scope::sorted(&targeting.org_scopes, texts)),
            exclusions: self.add_exclusions(&targeting.org_exclusions, texts),
            rules: self.add_rules(&targeting.attribute_rules),
            rollout_key: key.map_or_else(StringRef::default, |key| texts.add(key.as_str())),
        }
    }

    fn add_words(&mut self, mut words: Vec<&str>, texts: &mut StringPoolBuilder) -> ListRef {
        words.sort_unstable();
        ListRef::append(&mut self.words, words.into_iter().map(|word| texts.add(word)))
    }

    /// Adds exclusions. In other lists a missing text matches nothing, which excludes devices. In an exclusion it would
    /// admit devices, so the whole list becomes invalid instead.
    fn add_exclusions(&mut self, exclusions: &[OrgScope], texts: &mut StringPoolBuilder) -> ListRef {
        let sorted = Scope::sorted(exclusions, texts);
        if !sorted.iter().all(Scope::is_whole) {
            return ListRef::INVALID;
        }
        ListRef::append(&mut self.scopes, sorted)
    }

    fn add_rules(&mut self, rules: &[AttributeRule]) -> ListRef {
        let key = canonical_json(&rules);
        if let Some(known) = key.as_ref().and_then(|key| self.known_rules.get(key)) {
            return *known;
        }
        let added = ListRef::append(&mut self.rules, rules.iter().cloned().map(CompiledRule::new));
        self.known_rules.extend(key.map(|key| (key, added)));
        added
    }

    pub(super) fn into_table(self) -> TargetsTable {
        TargetsTable {
            rows: self.rows.into(),
            words: self.words.into(),
            scopes: self.scopes.into(),
            rules: self.rules.into(),
        }
    }
}

/// Returns a text that is equal for equal values. Texts and numbers always serialize; a value that did not would equal
/// nothing.
fn canonical_json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
