//! Targets of releases, laid out for matching. Most releases have none.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::LayoutError;
use super::list_ref::{ListRef, addressable, index};
use super::prefetch::prefetch;
use super::scopes::{ScopeRefs, Scopes};
use super::string_pool::{SortedTexts, StringPool, StringPoolBuilder, StringRef};
use slipway_domain::catalog::attribute::{AttributeRule, RuleTest};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::org::OrgScope;
use slipway_domain::catalog::release_content::ReleaseContent;
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{DeviceId, DeviceType};
use slipway_domain::catalog::version::VersionCode;

/// Targets of all releases of an app, without duplicates.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TargetsTable {
    rows: Box<[TargetsRow]>,
    /// Device types and allow-lists, each sorted.
    words: Box<[StringRef]>,
    /// Scopes and exclusions, each sorted.
    scopes: Box<[ScopeRefs]>,
    rules: Box<[CompiledRule]>,
}

/// Targets of one or more releases.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TargetsRow {
    pub(crate) starts_at: Option<DateTime<Utc>>,
    pub(crate) ends_at: Option<DateTime<Utc>>,
    pub(crate) host_version_min: Option<VersionCode>,
    pub(crate) host_version_max: Option<VersionCode>,
    device_types: ListRef,
    allow_list: ListRef,
    scopes: ListRef,
    exclusions: ListRef,
    rules: ListRef,
    /// Empty if the release's id is the key.
    rollout_key: StringRef,
}

/// Row with the lists and texts that it refers to.
#[derive(Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) row: &'a TargetsRow,
    table: &'a TargetsTable,
    texts: &'a StringPool,
}

/// Attribute rule in its source and compiled forms.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) rule: AttributeRule,
    pub(crate) test: RuleTest,
}

impl TargetsTable {
    pub(super) fn prefetch(&self) {
        prefetch(&self.rows, |row| row.device_types.start());
        prefetch(&self.words, |word| word.start());
        prefetch(&self.scopes, ScopeRefs::start);
        prefetch(&self.rules, CompiledRule::touch_texts);
    }

    /// Returns the targets with this index, which the table must contain.
    pub(super) fn get<'a>(&'a self, index: TargetsIndex, texts: &'a StringPool) -> Targets<'a> {
        let row = if index == TargetsIndex::UNTARGETED {
            &TargetsRow::UNTARGETED
        } else {
            &self.rows[index.0 as usize]
        };
        self.targets(row, texts)
    }

    fn targets<'a>(&'a self, row: &'a TargetsRow, texts: &'a StringPool) -> Targets<'a> {
        Targets {
            row,
            table: self,
            texts,
        }
    }

    /// Requires that the table has targets with this index.
    pub(super) fn require(&self, index: TargetsIndex) -> Result<(), LayoutError> {
        if index == TargetsIndex::UNTARGETED || (index.0 as usize) < self.rows.len() {
            Ok(())
        } else {
            Err(LayoutError::InvalidReference("targets"))
        }
    }

    /// Requires that all references of the table are valid, and that its lists are sorted.
    pub(super) fn validate(&self, texts: &StringPool) -> Result<(), LayoutError> {
        self.words.iter().try_for_each(|word| texts.require(*word))?;
        self.scopes
            .iter()
            .try_for_each(|scope| scope.require_within(texts))?;
        self.rows.iter().try_for_each(|row| self.validate_row(row, texts))
    }

    fn validate_row(&self, row: &TargetsRow, texts: &StringPool) -> Result<(), LayoutError> {
        for words in [row.device_types, row.allow_list] {
            words.require_within(&self.words, "words")?;
        }
        for scopes in [row.scopes, row.exclusions] {
            scopes.require_within(&self.scopes, "scopes")?;
        }
        row.rules.require_within(&self.rules, "attribute rules")?;
        texts.require(row.rollout_key)?;

        let targets = self.targets(row, texts);
        if !(targets.device_types().is_sorted() && targets.allow_list().is_sorted()) {
            return Err(LayoutError::OutOfOrder("words"));
        }
        if !(targets.scopes().is_sorted() && targets.exclusions().is_sorted()) {
            return Err(LayoutError::OutOfOrder("scopes"));
        }
        Ok(())
    }
}

impl TargetsRow {
    /// Targets that every device meets.
    const UNTARGETED: Self = Self {
        starts_at: None,
        ends_at: None,
        host_version_min: None,
        host_version_max: None,
        device_types: ListRef::EMPTY,
        allow_list: ListRef::EMPTY,
        scopes: ListRef::EMPTY,
        exclusions: ListRef::EMPTY,
        rules: ListRef::EMPTY,
        rollout_key: StringRef::EMPTY,
    };
}

impl<'a> Targets<'a> {
    /// Returns the device types; empty if devices of any type, or without one, are targeted.
    pub(crate) fn device_types(self) -> SortedTexts<'a> {
        SortedTexts::new(self.row.device_types.of(&self.table.words), self.texts)
    }

    /// Returns the ids of the devices that pass the rollout regardless of its share.
    pub(crate) fn allow_list(self) -> SortedTexts<'a> {
        SortedTexts::new(self.row.allow_list.of(&self.table.words), self.texts)
    }

    pub(crate) fn scopes(self) -> Scopes<'a> {
        Scopes::new(self.row.scopes.of(&self.table.scopes), self.texts)
    }

    pub(crate) fn exclusions(self) -> Scopes<'a> {
        Scopes::new(self.row.exclusions.of(&self.table.scopes), self.texts)
    }

    pub(crate) fn rules(self) -> &'a [CompiledRule] {
        self.row.rules.of(&self.table.rules)
    }

    /// Returns the rollout key; `None` if it is the release's id.
    pub(crate) fn rollout_key(self) -> Option<&'a str> {
        Some(self.texts.get(self.row.rollout_key)).filter(|key| !key.is_empty())
    }
}

impl CompiledRule {
    fn new(rule: AttributeRule) -> Result<Self, Invalid> {
        Ok(Self {
            test: rule.compile()?,
            rule,
        })
    }

    /// Reads something of each text that a test reads, for prefetching.
    fn touch_texts(&self) -> u32 {
        let first_byte = |text: &str| text.bytes().next().map_or(0, u32::from);
        let compared = match &self.test {
            RuleTest::OneOf(values) | RuleTest::NoneOf(values) => {
                values.first().map_or(0, |value| first_byte(value.as_str()))
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
        let rule = serde_json::from_str(&text).map_err(serde::de::Error::custom)?;
        Self::new(rule).map_err(serde::de::Error::custom)
    }
}

/// Reference from a release to its app's targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TargetsIndex(u32);

impl TargetsIndex {
    /// Release without targets.
    const UNTARGETED: Self = Self(u32::MAX);
}

/// Builder of the targets of an app's releases, without duplicates.
#[derive(Default)]
pub(super) struct TargetsBuilder {
    rows: Vec<TargetsRow>,
    words: Vec<StringRef>,
    scopes: Vec<ScopeRefs>,
    rules: Vec<CompiledRule>,
    known: HashMap<String, TargetsIndex>,
    known_rules: HashMap<String, ListRef>,
}

impl TargetsBuilder {
    /// Adds the targets of a release and returns their index.
    pub(super) fn add(
        &mut self,
        content: &ReleaseContent,
        texts: &mut StringPoolBuilder,
    ) -> Result<TargetsIndex, LayoutError> {
        let untargeted = content.targeting.is_for_everybody()
            && content.starts_at.is_none()
            && content.ends_at.is_none()
            && content.rollout.key.is_none();
        if untargeted {
            return Ok(TargetsIndex::UNTARGETED);
        }
        let key = canonical_json(&(
            &content.targeting,
            content.starts_at,
            content.ends_at,
            content.rollout.key.as_ref(),
        ));
        if let Some(known) = key.as_ref().and_then(|key| self.known.get(key)) {
            return Ok(*known);
        }
        let row = self.row(content, texts)?;
        let added = TargetsIndex(index(self.rows.len()));
        self.rows.push(row);
        self.known.extend(key.map(|key| (key, added)));
        Ok(added)
    }

    fn row(
        &mut self,
        content: &ReleaseContent,
        texts: &mut StringPoolBuilder,
    ) -> Result<TargetsRow, LayoutError> {
        let Targeting {
            org_scopes,
            org_exclusions,
            device_types,
            host_version_min,
            host_version_max,
            attribute_rules,
            device_ids,
        } = &content.targeting;
        let device_types = device_types.iter().map(DeviceType::as_str);
        let device_ids = device_ids.iter().map(DeviceId::as_str);
        let key = content.rollout.key.as_ref();
        Ok(TargetsRow {
            starts_at: content.starts_at,
            ends_at: content.ends_at,
            host_version_min: *host_version_min,
            host_version_max: *host_version_max,
            device_types: self.add_words(device_types.collect(), texts),
            allow_list: self.add_words(device_ids.collect(), texts),
            scopes: self.add_scopes(org_scopes, texts),
            exclusions: self.add_scopes(org_exclusions, texts),
            rules: self.add_rules(attribute_rules)?,
            rollout_key: key.map_or(StringRef::EMPTY, |key| texts.add(key.as_str())),
        })
    }

    fn add_words(&mut self, mut words: Vec<&str>, texts: &mut StringPoolBuilder) -> ListRef {
        words.sort_unstable();
        ListRef::append(&mut self.words, words.into_iter().map(|word| texts.add(word)))
    }

    fn add_scopes(&mut self, scopes: &[OrgScope], texts: &mut StringPoolBuilder) -> ListRef {
        ListRef::append(&mut self.scopes, ScopeRefs::sorted(scopes, texts))
    }

    fn add_rules(&mut self, rules: &[AttributeRule]) -> Result<ListRef, LayoutError> {
        let key = canonical_json(&rules);
        if let Some(known) = key.as_ref().and_then(|key| self.known_rules.get(key)) {
            return Ok(*known);
        }
        let compiled: Result<Vec<_>, _> = rules.iter().cloned().map(CompiledRule::new).collect();
        let added = ListRef::append(&mut self.rules, compiled.map_err(LayoutError::Rule)?);
        self.known_rules.extend(key.map(|key| (key, added)));
        Ok(added)
    }

    /// Returns the table, unless references cannot address all of it.
    pub(super) fn into_table(self) -> Result<TargetsTable, LayoutError> {
        Ok(TargetsTable {
            rows: addressable(self.rows, "targets")?,
            words: addressable(self.words, "words")?,
            scopes: addressable(self.scopes, "scopes")?,
            rules: addressable(self.rules, "attribute rules")?,
        })
    }
}

/// Returns a text that is equal for equal values. Texts and numbers always serialize; a value that did not would equal
/// nothing.
fn canonical_json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
