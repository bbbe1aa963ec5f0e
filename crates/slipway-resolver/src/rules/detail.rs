//! Detail of a verdict: the rule with the values of the device and the release, in words.

use super::audience::condition_in_words;
use super::decide::Decision;
use super::detail_words::Words;
use super::gates::Candidate;
use super::rule::Rule;
use crate::check::Check;
use crate::check_context::CheckContext;
use crate::layout::CompiledRule;
use chrono::SecondsFormat;
use slipway_domain::catalog::field::excerpt;
use slipway_domain::catalog::language::{Language, filled};
use slipway_domain::catalog::min_sdk::{MinSdk, SDK_ATTRIBUTE};
use slipway_domain::catalog::pin::PinMode;
use slipway_domain::catalog::targeting_words::Condition;
use slipway_domain::catalog::version::VersionCode;

/// Release and device that a verdict is about.
pub(super) struct Subject<'a> {
    pub(super) candidate: Candidate<'a>,
    pub(super) decision: &'a Decision<'a>,
    pub(super) check: &'a Check<'a>,
    pub(super) context: &'a CheckContext,
}

impl Subject<'_> {
    pub(super) fn detail(&self, rule: Rule, language: Language) -> String {
        let words = Words::of(language);
        let Candidate { release, .. } = self.candidate;
        let condition = |condition| condition_in_words(self.candidate, condition, language);
        let installed = self.decision.installed.to_string();
        let choice = self
            .decision
            .choice
            .map_or(VersionCode::NOT_INSTALLED, |choice| choice.version_code)
            .to_string();
        match rule {
            Rule::TenantOff => words.tenant_off.to_owned(),
            Rule::AppOff => words.app_off.to_owned(),
            Rule::ResourceOff => words.resource_off.to_owned(),
            Rule::State => filled(words.state, &[words.state_of(release.state.kind())]),
            Rule::StartsAt | Rule::EndsAt => {
                let now = self.context.now.to_rfc3339_opts(SecondsFormat::Secs, true);
                filled(words.window, &[&condition(Condition::Window), &now])
            }
            Rule::HostVersion => {
                let host = self.check.version_code.to_string();
                filled(words.host_version, &[&condition(Condition::HostVersions), &host])
            }
            Rule::DeviceType => self.describe_type(words, &condition(Condition::DeviceTypes)),
            Rule::MinSdk => self.describe_min_sdk(words),
            Rule::Org => {
                let text = if self.check.memberships.is_empty() {
                    words.no_org_info
                } else {
                    words.elsewhere
                };
                filled(text, &[&condition(Condition::Places)])
            }
            Rule::Attributes => self.describe_first_false_rule(words, language),
            Rule::Rollout => filled(words.rollout, &[&condition(Condition::Share)]),
            Rule::Stale => words.stale.to_owned(),
            Rule::Pin => self.describe_pin(words),
            Rule::FileUnavailable => words.file_unavailable.to_owned(),
            Rule::NewerPasses => filled(words.newer_passes, &[&choice]),
            Rule::Floor => filled(words.floor, &[&choice]),
            Rule::Newer => self.describe_newer(words),
            Rule::Installed => filled(words.installed, &[&installed]),
            Rule::Repair => filled(words.repair, &[&installed]),
            Rule::InstalledIsNewer => filled(words.installed_is_newer, &[&installed]),
            Rule::Rollback => filled(words.rollback, &[&installed]),
            Rule::Removal => filled(words.removal, &[&installed]),
        }
    }

    fn describe_type(&self, words: &Words, types: &str) -> String {
        match self.check.device_type {
            Some(own) => filled(words.other_type, &[types, &excerpt(own)]),
            None => filled(words.no_type, &[types]),
        }
    }

    fn describe_min_sdk(&self, words: &Words) -> String {
        let needed = self.candidate.release.min_sdk.map_or(0, MinSdk::get).to_string();
        let sent = excerpt(self.check.attribute(SDK_ATTRIBUTE).unwrap_or_default());
        filled(words.min_sdk, &[&needed, SDK_ATTRIBUTE, &format!("{sent:?}")])
    }

    fn describe_first_false_rule(&self, words: &Words, language: Language) -> String {
        let mut rules = self.candidate.targets.rules().iter();
        let is_false = |compiled: &&CompiledRule| {
            let sent = self.check.attribute(compiled.rule.name());
            !compiled.test.matches(sent)
        };
        let Some(CompiledRule { rule, .. }) = rules.find(is_false) else {
            return String::new();
        };
        let (condition, name) = (rule.in_words(language), rule.name());
        match self.check.attribute(name) {
            Some(sent) => {
                let sent = format!("{:?}", excerpt(sent));
                filled(words.attribute, &[&condition, name, &sent])
            }
            None => filled(words.attribute_absent, &[&condition, name]),
        }
    }

    fn describe_pin(&self, words: &Words) -> String {
        match self.decision.pin {
            Some(PinMode::Hold) => words.pin_hold.to_owned(),
            Some(PinMode::Exact(version)) => filled(words.pin_exact, &[&version.to_string()]),
            Some(PinMode::Ceiling(version)) => filled(words.pin_ceiling, &[&version.to_string()]),
            None => String::new(),
        }
    }

    /// Explains a newer release. An `exact` pin passes over floors, which the text mentions.
    fn describe_newer(&self, words: &Words) -> String {
        let Decision {
            installed, highest, ..
        } = *self.decision;
        let older = match installed {
            VersionCode::NOT_INSTALLED => words.nothing_installed.to_owned(),
            _ => filled(words.older_installed, &[&installed.to_string()]),
        };
        if let Some(PinMode::Exact(version)) = self.decision.pin {
            filled(words.newer_by_pin, &[&older, &version.to_string()])
        } else if highest.map(|highest| highest.version_code) > Some(self.candidate.release.version_code) {
            filled(words.newer_is_floor, &[&older])
        } else {
            older
        }
    }
}
