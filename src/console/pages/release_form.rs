//! Forms of a new release, and the form that changes one.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::console::fields::{Blank, Field, Form, Kind, Label, Style};
use crate::console::form_view::Values;
use crate::console::texts::Texts;
use slipway_domain::catalog::attribute::AttributeRule;
use slipway_domain::catalog::org::{Level, OrgScope};
use slipway_domain::catalog::org_path;
use slipway_domain::catalog::release_content::ReleaseContent;
use slipway_domain::catalog::rollout::RolloutUnit;

pub(super) const UNITS: &[(&str, Label)] = &[
    ("device", |t| t.unit_device),
    ("l1", |t| t.unit_l1),
    ("l2", |t| t.unit_l2),
    ("l3", |t| t.unit_l3),
    ("l4", |t| t.unit_l4),
    ("l5", |t| t.unit_l5),
];

/// Returns the words for the unit of a rollout.
pub(super) fn unit_in_words(t: &Texts, unit: RolloutUnit) -> &'static str {
    let name = unit.to_string();
    UNITS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, label)| label(t))
}

macro_rules! release_fields {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            Field::new("update_desc", Kind::LongText, |t| t.update_desc).blank(Blank::Empty),
            Field::new("rollout.percent", Kind::Number, |t| t.percent).required().initial("100"),
            Field::new("rollout.unit", Kind::Choice(UNITS), |t| t.unit).required(),
            Field::new("rollout.key", Kind::Text, |t| t.rollout_key).blank(Blank::Null).hint(|t| t.rollout_key_hint),
            Field::new("org_scopes", Kind::OrgScopes, |t| t.org_scopes).blank(Blank::Empty).hint(|t| t.org_scopes_hint),
            Field::new("org_exclusions", Kind::OrgScopes, |t| t.org_exclusions).blank(Blank::Empty),
            Field::new("device_types", Kind::Lines, |t| t.device_types).blank(Blank::Empty).hint(|t| t.one_per_line),
            Field::new("device_ids", Kind::Lines, |t| t.device_ids).blank(Blank::Empty).hint(|t| t.device_ids_hint),
            Field::new("attribute_rules", Kind::Rules, |t| t.attribute_rules)
                .blank(Blank::Empty)
                .hint(|t| t.attribute_rules_hint),
            Field::new("host_version_min", Kind::Integer, |t| t.host_version_min).blank(Blank::Null),
            Field::new("host_version_max", Kind::Integer, |t| t.host_version_max).blank(Blank::Null),
            Field::new("starts_at", Kind::Instant, |t| t.starts_at).blank(Blank::Null),
            Field::new("ends_at", Kind::Instant, |t| t.ends_at).blank(Blank::Null),
            Field::new("auto_install", Kind::Flag, |t| t.auto_install),
            Field::new("mandatory", Kind::Flag, |t| t.mandatory).hint(|t| t.mandatory_hint),
            Field::new("floor", Kind::Flag, |t| t.floor).hint(|t| t.floor_hint),
            Field::new("icon_url", Kind::Text, |t| t.icon_url).blank(Blank::Null),
            Field::new("qrcode", Kind::Text, |t| t.qrcode).blank(Blank::Null),
            Field::new("config_json", Kind::Json, |t| t.config_json).blank(Blank::Empty),
        ]
    };
}

/// Version and file of a draft can be changed too; the API has a call for that.
pub(super) const CHANGE: Form = Form {
    key: "edit",
    submit: |t| t.save,
    explanation: None,
    style: Style::Primary,
    fields: release_fields!(),
};

/// Release of an external file, or of an artifact whose digest is known.
pub(super) const NEW: Form = Form {
    key: "release",
    submit: |t| t.create_release,
    explanation: None,
    style: Style::Primary,
    fields: release_fields!(
        Field::new("identifier", Kind::Text, |t| t.resource)
            .required()
            .hint(|t| t.resource_hint),
        Field::new("version_code", Kind::Integer, |t| t.version_code).required(),
        Field::new("artifact", Kind::Text, |t| t.artifact).hint(|t| t.artifact_hint),
        Field::new("version_name", Kind::Text, |t| t.version_name).hint(|t| t.supplied_by_artifact),
        Field::new("download_url", Kind::Text, |t| t.download_url).hint(|t| t.download_url_hint),
        Field::new("size", Kind::Integer, |t| t.size_in_bytes).hint(|t| t.supplied_by_artifact),
        Field::new("md5", Kind::Text, |t| t.md5).hint(|t| t.supplied_by_artifact),
        Field::new("sha256", Kind::Text, |t| t.sha256),
        Field::new("publish", Kind::Flag, |t| t.publish_now).hint(|t| t.publish_now_hint),
    ),
};

/// Release of an artifact, which supplies size, digests and address. It becomes the same body as [`NEW`].
pub(super) const NEW_OF_FILE: Form = Form {
    key: NEW.key,
    submit: |t| t.create_release,
    explanation: None,
    style: Style::Primary,
    fields: release_fields!(
        Field::new("artifact", Kind::Hidden, |t| t.artifact),
        Field::new("identifier", Kind::Text, |t| t.resource)
            .required()
            .hint(|t| t.resource_hint),
        Field::new("version_code", Kind::Integer, |t| t.version_code).required(),
        Field::new("version_name", Kind::Text, |t| t.version_name),
        Field::new("publish", Kind::Flag, |t| t.publish_now).hint(|t| t.publish_now_hint),
    ),
};

/// Returns the stored values of a release for its form.
pub(super) fn values(content: &ReleaseContent) -> Values {
    let targeting = &content.targeting;
    let optional = |url: Option<String>| url.unwrap_or_default();
    vec![
        ("update_desc", content.update_desc.to_string()),
        ("rollout.percent", content.rollout.share.to_percent().to_string()),
        ("rollout.unit", content.rollout.unit.to_string()),
        (
            "rollout.key",
            optional(content.rollout.key.as_ref().map(ToString::to_string)),
        ),
        ("org_scopes", lines(&targeting.org_scopes, scope_line)),
        ("org_exclusions", lines(&targeting.org_exclusions, scope_line)),
        (
            "device_types",
            lines(&targeting.device_types, ToString::to_string),
        ),
        ("device_ids", lines(&targeting.device_ids, ToString::to_string)),
        ("attribute_rules", lines(&targeting.attribute_rules, rule_line)),
        (
            "host_version_min",
            optional(targeting.host_version_min.map(|version| version.to_string())),
        ),
        (
            "host_version_max",
            optional(targeting.host_version_max.map(|version| version.to_string())),
        ),
        ("starts_at", optional(content.starts_at.map(instant))),
        ("ends_at", optional(content.ends_at.map(instant))),
        ("auto_install", content.auto_install.to_string()),
        ("mandatory", content.mandatory.to_string()),
        ("floor", content.floor.to_string()),
        (
            "icon_url",
            optional(content.icon_url.as_ref().map(ToString::to_string)),
        ),
        (
            "qrcode",
            optional(content.qrcode.as_ref().map(ToString::to_string)),
        ),
        ("config_json", content.config_json.as_str().to_owned()),
    ]
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn scope_line(scope: &OrgScope) -> String {
    let codes = scope.codes();
    let levels = Level::all().take(codes.depth());
    org_path::join(levels.map(|level| codes.get(level).unwrap_or_default()))
}

fn rule_line(rule: &AttributeRule) -> String {
    format!("{} {} {}", rule.name(), rule.op().as_str(), rule.value().as_str())
}

/// Writes a time for the browser's control.
fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn stored_values_are_read_back_unchanged() {
        for (kind, stored) in [
            (
                Kind::OrgScopes,
                json!([{"l1Code": "HM", "l2Code": "HM-SH"}, {"l3Code": "8007"}, {"l1Code": "A/B"}]),
            ),
            (
                Kind::Rules,
                json!([{"name": "webview", "op": "semver", "value": ">=8.0, <12"}]),
            ),
            (
                Kind::Rules,
                json!([{"name": "model", "op": "in", "value": ["a b", 1, true]}]),
            ),
        ] {
            let text = match kind {
                Kind::OrgScopes => lines(
                    &serde_json::from_value::<Vec<OrgScope>>(stored.clone()).unwrap(),
                    scope_line,
                ),
                _ => lines(
                    &serde_json::from_value::<Vec<AttributeRule>>(stored.clone()).unwrap(),
                    rule_line,
                ),
            };
            let read: Value = crate::console::fields::value(kind, &text);
            assert_eq!(read, stored, "{text}");
        }
    }
}
