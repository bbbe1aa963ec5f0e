//! Targeting of a release in words, such as "HM except HM-BJ, type 10013, 5% of stores". This is the only place that
//! words it.

use chrono::{DateTime, SecondsFormat, Utc};

use super::attribute::{AttributeRule, RuleOp};
use super::field::excerpt;
use super::language::{Language, filled};
use super::org::{Level, OrgScope};
use super::org_path;
use super::release_content::ReleaseContent;
use super::rollout::{RolloutUnit, Share};
use super::targeting::Targeting;
use super::version::VersionCode;

/// Number of items that are named of a list; the rest is counted.
const NAMED: usize = 5;

/// Devices that a release applies to, to be put into words.
#[derive(Debug, Clone, Copy)]
pub struct Audience<'a> {
    pub targeting: &'a Targeting,
    pub share: Share,
    pub unit: RolloutUnit,
    /// Number of devices on the allow-list. The targeting need not name them.
    pub listed_devices: usize,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
}

/// Condition of an [`Audience`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Places,
    DeviceTypes,
    HostVersions,
    Attributes,
    Share,
    Window,
}

impl Condition {
    const ALL: [Self; 6] = [
        Self::Places,
        Self::DeviceTypes,
        Self::HostVersions,
        Self::Attributes,
        Self::Share,
        Self::Window,
    ];
}

impl Audience<'_> {
    pub fn in_words(&self, language: Language) -> String {
        let words = Words::of(language);
        let conditions = Condition::ALL.into_iter();
        let conditions: Vec<_> = conditions
            .filter_map(|condition| self.condition(condition, words))
            .collect();
        if conditions.is_empty() {
            words.everybody.to_owned()
        } else {
            conditions.join(words.comma)
        }
    }

    /// Returns one of the conditions in words; `None` if the release does not have it.
    pub fn condition_in_words(&self, condition: Condition, language: Language) -> Option<String> {
        self.condition(condition, Words::of(language))
    }

    fn condition(&self, condition: Condition, words: &Words) -> Option<String> {
        match condition {
            Condition::Places => places(words, self.targeting),
            Condition::DeviceTypes => types(words, self.targeting),
            Condition::HostVersions => host_versions(words, self.targeting),
            Condition::Attributes => attributes(words, self.targeting),
            Condition::Share => share(words, self),
            Condition::Window => window(words, self.starts_at, self.ends_at),
        }
    }
}

impl ReleaseContent {
    /// Returns the devices that the release applies to, in words.
    pub fn targeting_in_words(&self, language: Language) -> String {
        let audience = Audience {
            targeting: &self.targeting,
            share: self.rollout.share,
            unit: self.rollout.unit,
            listed_devices: self.targeting.device_ids.len(),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        };
        audience.in_words(language)
    }
}

impl AttributeRule {
    /// Returns the rule in words, such as `ram ≥ 4`.
    pub fn in_words(&self, language: Language) -> String {
        attribute(Words::of(language), self)
    }
}

impl Words {
    fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }
}

/// Words of one language. A value replaces each `{}`.
struct Words {
    comma: &'static str,
    or: &'static str,
    more: &'static str,
    everybody: &'static str,
    everywhere: &'static str,
    except: &'static str,
    one_type: &'static str,
    types: &'static str,
    host_from: &'static str,
    host_to: &'static str,
    host_between: &'static str,
    exists: &'static str,
    is_absent: &'static str,
    one_of: &'static str,
    none_of: &'static str,
    semver: &'static str,
    share: &'static str,
    nobody: &'static str,
    units: [&'static str; 6],
    listed: &'static str,
    from: &'static str,
    until: &'static str,
    between: &'static str,
}

const ENGLISH: Words = Words {
    comma: ", ",
    or: " or ",
    more: "{} more",
    everybody: "every device",
    everywhere: "everywhere",
    except: "{} except {}",
    one_type: "type {}",
    types: "types {}",
    host_from: "host version {} or newer",
    host_to: "host version up to {}",
    host_between: "host version {} to {}",
    exists: "{} is set",
    is_absent: "{} is not set",
    one_of: "{} is {}",
    none_of: "{} is not {}",
    semver: "{} matches {}",
    share: "{}% of {}",
    nobody: "no device",
    units: [
        "devices",
        "companies",
        "regions",
        "stores",
        "l4 nodes",
        "l5 nodes",
    ],
    listed: "and {} listed devices",
    from: "from {}",
    until: "until {}",
    between: "from {} until {}",
};

const CHINESE: Words = Words {
    comma: "，",
    or: "或",
    more: "另外 {} 项",
    everybody: "所有设备",
    everywhere: "所有组织",
    except: "{}（{} 除外）",
    one_type: "类型 {}",
    types: "类型 {}",
    host_from: "宿主版本不低于 {}",
    host_to: "宿主版本不高于 {}",
    host_between: "宿主版本 {} 至 {}",
    exists: "已设置 {}",
    is_absent: "未设置 {}",
    one_of: "{} 为 {}",
    none_of: "{} 不为 {}",
    semver: "{} 符合 {}",
    share: "{}% 的{}",
    nobody: "无设备",
    units: ["设备", "公司", "区域", "门店", "四级组织", "五级组织"],
    listed: "以及 {} 台指定设备",
    from: "自 {} 起",
    until: "至 {} 止",
    between: "{} 至 {}",
};

/// Names the first items of a list and counts the rest.
fn list<T>(words: &Words, items: &[T], name: impl Fn(&T) -> String) -> String {
    let mut named: Vec<_> = items.iter().take(NAMED).map(name).collect();
    if items.len() > NAMED {
        named.push(filled(words.more, &[&(items.len() - NAMED).to_string()]));
    }
    match named.split_last() {
        Some((last, rest)) if !rest.is_empty() => [&rest.join(words.comma), words.or, last].concat(),
        _ => named.concat(),
    }
}

fn places(words: &Words, targeting: &Targeting) -> Option<String> {
    let Targeting {
        org_scopes,
        org_exclusions,
        ..
    } = targeting;
    if org_scopes.is_empty() && org_exclusions.is_empty() {
        return None;
    }
    let scopes = if org_scopes.is_empty() {
        words.everywhere.to_owned()
    } else {
        list(words, org_scopes, place)
    };
    if org_exclusions.is_empty() {
        return Some(scopes);
    }
    let exclusions = list(words, org_exclusions, |excluded| {
        place_below(excluded, org_scopes)
    });
    Some(filled(words.except, &[&scopes, &exclusions]))
}

/// Names a place by its path. Levels that it leaves open are named by their number.
fn place(scope: &OrgScope) -> String {
    let codes = scope.codes();
    let is_path = Level::all()
        .take(codes.depth())
        .all(|level| codes.get(level).is_some());
    let named = Level::all().filter_map(|level| codes.get(level).map(|code| (level, code)));
    if is_path {
        org_path::join(named.map(|(_, code)| code))
    } else {
        let named: Vec<_> = named.map(|(level, code)| format!("{level} {code}")).collect();
        named.join(" ")
    }
}

/// Names an excluded place, without the part that a scope names already.
fn place_below(excluded: &OrgScope, scopes: &[OrgScope]) -> String {
    let path = place(excluded);
    let below = scopes
        .iter()
        .find_map(|scope| path.strip_prefix(&format!("{}/", place(scope))));
    below.map_or(path.clone(), str::to_owned)
}

fn types(words: &Words, targeting: &Targeting) -> Option<String> {
    let types = &targeting.device_types;
    let text = match types.len() {
        0 => return None,
        1 => words.one_type,
        _ => words.types,
    };
    Some(filled(text, &[&list(words, types, ToString::to_string)]))
}

fn host_versions(words: &Words, targeting: &Targeting) -> Option<String> {
    let text = |version: VersionCode| version.get().to_string();
    match (
        targeting.host_version_min.map(text),
        targeting.host_version_max.map(text),
    ) {
        (None, None) => None,
        (Some(min), None) => Some(filled(words.host_from, &[&min])),
        (None, Some(max)) => Some(filled(words.host_to, &[&max])),
        (Some(min), Some(max)) => Some(filled(words.host_between, &[&min, &max])),
    }
}

fn attributes(words: &Words, targeting: &Targeting) -> Option<String> {
    let rules: Vec<_> = targeting
        .attribute_rules
        .iter()
        .map(|rule| attribute(words, rule))
        .collect();
    (!rules.is_empty()).then(|| rules.join(words.comma))
}

fn attribute(words: &Words, rule: &AttributeRule) -> String {
    let value = rule.value().as_str();
    let value = excerpt(value.trim_matches('"'));
    let (name, value) = (rule.name(), value.as_ref());
    match rule.op() {
        RuleOp::Eq => filled(words.one_of, &[name, value]),
        RuleOp::Ne => filled(words.none_of, &[name, value]),
        RuleOp::In => filled(words.one_of, &[name, &scalars(words, rule)]),
        RuleOp::NotIn => filled(words.none_of, &[name, &scalars(words, rule)]),
        RuleOp::Gt => format!("{name} > {value}"),
        RuleOp::Ge => format!("{name} ≥ {value}"),
        RuleOp::Lt => format!("{name} < {value}"),
        RuleOp::Le => format!("{name} ≤ {value}"),
        RuleOp::Semver => filled(words.semver, &[name, value]),
        RuleOp::Exists if value == "true" => filled(words.exists, &[name]),
        RuleOp::Exists => filled(words.is_absent, &[name]),
    }
}

/// Names the operands of a rule on a list.
fn scalars(words: &Words, rule: &AttributeRule) -> String {
    let values: Vec<serde_json::Value> = serde_json::from_str(rule.value().as_str()).unwrap_or_default();
    list(words, &values, |value| match value.as_str() {
        Some(text) => excerpt(text).into_owned(),
        None => value.to_string(),
    })
}

fn share(words: &Words, audience: &Audience<'_>) -> Option<String> {
    if audience.share == Share::EVERYBODY {
        return None;
    }
    let listed = audience.listed_devices;
    let listed = (listed > 0).then(|| filled(words.listed, &[&listed.to_string()]));
    let unit = match audience.unit {
        RolloutUnit::Device => words.units[0],
        RolloutUnit::Level(level) => words.units[level.number()],
    };
    let share = if audience.share.hundredths() == 0 {
        words.nobody.to_owned()
    } else {
        filled(words.share, &[&audience.share.to_percent().to_string(), unit])
    };
    Some(match listed {
        Some(listed) => format!("{share} {listed}"),
        None => share,
    })
}

fn window(words: &Words, starts_at: Option<DateTime<Utc>>, ends_at: Option<DateTime<Utc>>) -> Option<String> {
    let text = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    match (starts_at.map(text), ends_at.map(text)) {
        (None, None) => None,
        (Some(start), None) => Some(filled(words.from, &[&start])),
        (None, Some(end)) => Some(filled(words.until, &[&end])),
        (Some(start), Some(end)) => Some(filled(words.between, &[&start, &end])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::release_content::ReleaseChanges;
    use super::super::text::{Md5, Url, VersionName};
    use super::*;

    fn in_words(targeting: Value, change: impl FnOnce(&mut ReleaseContent)) -> [String; 2] {
        let changes = ReleaseChanges {
            version_code: VersionCode::of_release(1).ok(),
            version_name: VersionName::parse("1").ok(),
            download_url: Some(Url::parse("https://files.example/1").ok()),
            size: Some(1),
            md5: Md5::parse("0cc175b9c0f1b6a831c399e269772661").ok(),
            ..ReleaseChanges::default()
        };
        let mut content = changes.into_new().unwrap();
        content.targeting = serde_json::from_value(targeting).unwrap();
        change(&mut content);
        Language::ALL.map(|language| content.targeting_in_words(language))
    }

    #[test]
    fn a_release_without_conditions_is_for_every_device() {
        assert_eq!(in_words(json!({}), |_| {}), ["every device", "所有设备"]);
    }

    #[test]
    fn each_condition_is_worded_once() {
        let targeting = json!({
            "org_scopes": [{"l1Code": "HM"}],
            "org_exclusions": [{"l1Code": "HM", "l2Code": "HM-BJ"}, {"l3Code": "8007"}],
            "device_types": ["10013"],
            "host_version_min": 120,
            "attribute_rules": [
                {"name": "webview", "op": "semver", "value": ">=8.0, <12"},
                {"name": "model", "op": "in", "value": ["a", 1]},
                {"name": "ram", "op": "ge", "value": 4},
                {"name": "beta", "op": "exists", "value": false},
            ],
            "device_ids": ["PDA001"],
        });
        let [english, chinese] = in_words(targeting, |content| {
            content.rollout.share = Share::from_hundredths(500).unwrap();
            content.rollout.unit = RolloutUnit::parse("l3").unwrap();
            content.starts_at = DateTime::from_timestamp(1_800_000_000, 0);
        });
        assert_eq!(
            english,
            "HM except HM-BJ or l3 8007, type 10013, host version 120 or newer, webview matches >=8.0, <12, \
             model is a or 1, ram ≥ 4, beta is not set, 5% of stores and 1 listed devices, from 2027-01-15T08:00:00Z"
        );
        assert_eq!(
            chinese,
            "HM（HM-BJ或l3 8007 除外），类型 10013，宿主版本不低于 120，webview 符合 >=8.0, <12，model 为 a或1，ram ≥ 4，\
             未设置 beta，5% 的门店 以及 1 台指定设备，自 2027-01-15T08:00:00Z 起"
        );
    }

    #[test]
    fn long_lists_are_counted() {
        let types: Vec<_> = (1..=8).map(|number| number.to_string()).collect();
        let [english, _] = in_words(json!({"device_types": types}), |_| {});
        assert_eq!(english, "types 1, 2, 3, 4, 5 or 3 more");
    }
}
