//! What targets releases, in a form made for matching. Most releases have none of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::read_ahead::read_ahead;
use super::scopes::{Scope, Scopes};
use super::span::{Span, index};
use super::texts::{Text, TextCollector, Texts};
use crate::catalog::attribute::{AttributeRule, RuleTest};
use crate::catalog::org::OrgScope;
use crate::catalog::release::ReleaseContent;
use crate::catalog::text::{DeviceId, DeviceType};
use crate::catalog::version::VersionCode;

/// Everything that targets the releases of an app, equal targets once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TargetsTable {
    rows: Box<[TargetsRow]>,
    /// Device types and allow-lists, each sorted.
    words: Box<[Text]>,
    /// Scopes and exclusions, each sorted.
    scopes: Box<[Scope]>,
    rules: Box<[CompiledRule]>,
}

/// What targets one release or several.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TargetsRow {
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) host_version_min: Option<VersionCode>,
    pub(super) host_version_max: Option<VersionCode>,
    device_types: Span,
    allow_list: Span,
    scopes: Span,
    exclusions: Span,
    rules: Span,
    rollout_key: Text,
}

/// A row with the lists and texts that it names.
#[derive(Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) row: &'a TargetsRow,
    table: &'a TargetsTable,
    texts: &'a Texts,
}

/// A rule as it was written, and made for testing.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: AttributeRule,
    pub(super) test: RuleTest,
}

impl TargetsTable {
    pub(super) fn read_ahead(&self) {
        read_ahead(&self.rows, |row| row.device_types.start());
        read_ahead(&self.words, |word| word.start());
        read_ahead(&self.scopes, Scope::start);
        read_ahead(&self.rules, CompiledRule::first_of_texts);
    }

    /// `None` when the release is for everybody, always. A row that is not there is nobody's.
    pub(super) fn get<'a>(&'a self, index: TargetsIndex, texts: &'a Texts) -> Option<Targets<'a>> {
        if index == TargetsIndex::EVERYBODY {
            return None;
        }
        Some(Targets {
            row: self.rows.get(index.0 as usize).unwrap_or(&TargetsRow::NOBODY),
            table: self,
            texts,
        })
    }
}

impl TargetsRow {
    /// What nothing passes: it ended before there was anything.
    const NOBODY: Self = Self {
        starts_at: None,
        ends_at: Some(DateTime::<Utc>::MIN_UTC),
        host_version_min: None,
        host_version_max: None,
        device_types: Span::NOWHERE,
        allow_list: Span::NOWHERE,
        scopes: Span::NOWHERE,
        exclusions: Span::NOWHERE,
        rules: Span::NOWHERE,
        rollout_key: Text::NOWHERE,
    };
}

/// A list or text that is not there lets nobody pass.
impl<'a> Targets<'a> {
    /// Whether devices of this type are meant; those that sent none are only where no type is listed.
    pub(super) fn accepts_device_type(self, own: Option<&str>) -> bool {
        self.row.device_types.is_empty() || own.is_some_and(|own| self.lists(self.row.device_types, own))
    }

    /// Whether the device stands on the allow-list.
    pub(super) fn allows(self, device: &str) -> bool {
        self.lists(self.row.allow_list, device)
    }

    fn lists(self, span: Span, text: &str) -> bool {
        span.of(&self.table.words).is_some_and(|words| {
            words
                .binary_search_by(|listed| self.texts.get(*listed).cmp(&Some(text)))
                .is_ok()
        })
    }

    /// `None` when they are not there.
    pub(super) fn scopes(self) -> Option<Scopes<'a>> {
        let sorted = self.row.scopes.of(&self.table.scopes)?;
        Some(Scopes::new(sorted, self.texts))
    }

    /// `None` when they are not there.
    pub(super) fn exclusions(self) -> Option<Scopes<'a>> {
        let sorted = self.row.exclusions.of(&self.table.scopes)?;
        Some(Scopes::new(sorted, self.texts))
    }

    /// `None` when they are not there.
    pub(super) fn rules(self) -> Option<&'a [CompiledRule]> {
        self.row.rules.of(&self.table.rules)
    }

    /// The rollout's key, empty where it is the release's id; `None` when it is not there.
    pub(super) fn rollout_key(self) -> Option<&'a str> {
        self.texts.get(self.row.rollout_key)
    }
}

impl CompiledRule {
    /// A rule is checked when it is made, so compiling it again cannot fail; were it to, it must not let through.
    fn new(rule: AttributeRule) -> Self {
        let test = rule.compile().unwrap_or(RuleTest::OneOf(Vec::new()));
        Self { rule, test }
    }

    /// Something of each text that testing reads.
    fn first_of_texts(&self) -> u32 {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct TargetsIndex(u32);

impl TargetsIndex {
    /// The release has no targets.
    const EVERYBODY: Self = Self(u32::MAX);
    /// The release is closed. So many rows would not fit in memory.
    const NOBODY: Self = Self(u32::MAX - 1);

    fn of_row(position: usize) -> Self {
        Self(index(position)).min(Self::NOBODY)
    }
}

/// Collects the targets of an app's releases, equal ones once.
#[derive(Default)]
pub(super) struct TargetsCollector {
    rows: Vec<TargetsRow>,
    words: Vec<Text>,
    scopes: Vec<Scope>,
    rules: Vec<CompiledRule>,
    known: HashMap<String, TargetsIndex>,
    known_rules: HashMap<String, Span>,
}

impl TargetsCollector {
    pub(super) fn index_of(&mut self, content: &ReleaseContent, texts: &mut TextCollector) -> TargetsIndex {
        let untargeted = content.targeting.is_for_everybody()
            && content.starts_at.is_none()
            && content.ends_at.is_none()
            && content.rollout.key.is_none();
        if untargeted {
            return TargetsIndex::EVERYBODY;
        }
        let key = written(&(
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

    fn row(&mut self, content: &ReleaseContent, texts: &mut TextCollector) -> TargetsRow {
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
            scopes: Span::append(&mut self.scopes, Scope::sorted(&targeting.org_scopes, texts)),
            exclusions: self.add_exclusions(&targeting.org_exclusions, texts),
            rules: self.add_rules(&targeting.attribute_rules),
            rollout_key: key.map_or_else(Text::default, |key| texts.add(key.as_str())),
        }
    }

    fn add_words(&mut self, mut words: Vec<&str>, texts: &mut TextCollector) -> Span {
        words.sort_unstable();
        Span::append(&mut self.words, words.into_iter().map(|word| texts.add(word)))
    }

    /// A list or scope that lacks a text matches nothing there, which shuts out; an exclusion that lacks one would let
    /// in, so then there are no exclusions that could be passed.
    fn add_exclusions(&mut self, exclusions: &[OrgScope], texts: &mut TextCollector) -> Span {
        let sorted = Scope::sorted(exclusions, texts);
        if !sorted.iter().all(Scope::is_whole) {
            return Span::NOWHERE;
        }
        Span::append(&mut self.scopes, sorted)
    }

    fn add_rules(&mut self, rules: &[AttributeRule]) -> Span {
        let key = written(&rules);
        if let Some(known) = key.as_ref().and_then(|key| self.known_rules.get(key)) {
            return *known;
        }
        let added = Span::append(&mut self.rules, rules.iter().cloned().map(CompiledRule::new));
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

/// What tells equal things from others. Texts and numbers always serialise; what did not would be equal to nothing.
fn written(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
