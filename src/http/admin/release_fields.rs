//! Request fields for creating and updating a release.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::apps::read_optional_url;
use super::rule_fields::{AttributeRuleFields, OrgScopeFields};
use crate::http::body::RequestPriority;
use crate::http::fields::{FieldReader, Patch, parse_instant};
use crate::http::object::Object;
use crate::http::value_schemas::RolloutUnitValue;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::release_changes::{ReleaseChanges, RolloutChanges};
use slipway_domain::catalog::rollout::{RolloutUnit, Share};
use slipway_domain::catalog::text::{
    ConfigJson, DeviceId, DeviceType, Md5, RolloutKey, Sha256, UpdateDescription, Url, VersionName,
};
use slipway_domain::catalog::version::VersionCode;

/// Defines a request type with every field of a release except its identifier. A new release requires `version_code`,
/// `version_name`, `download_url`, `size` and `md5`.
macro_rules! release_request {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($own)*
            /// Version code, 1 to 2^63 − 1, which orders releases. JavaScript clients are exact up to 2^53 − 1.
            #[schema(value_type = i64, minimum = 1, example = 240)]
            #[serde(default)]
            pub(super) version_code: Patch<i64>,
            /// Version name, for display.
            #[schema(value_type = String, max_length = 64, example = "1.1.10")]
            #[serde(default)]
            pub(super) version_name: Patch<String>,
            #[schema(value_type = String, max_length = 2048, example = "https://files.example/chuku/240.bin")]
            #[serde(default)]
            pub(super) download_url: Patch<String>,
            /// File size in bytes.
            #[schema(value_type = i64, minimum = 0, example = 1_048_576)]
            #[serde(default)]
            pub(super) size: Patch<i64>,
            /// MD5 digest: 32 hexadecimal digits, case-insensitive.
            #[schema(value_type = String, pattern = "^[0-9A-Fa-f]{32}$", example = "0cc175b9c0f1b6a831c399e269772661")]
            #[serde(default)]
            pub(super) md5: Patch<String>,
            /// SHA-256 digest: 64 hexadecimal digits, case-insensitive.
            #[schema(value_type = Option<String>, pattern = "^[0-9A-Fa-f]{64}$")]
            #[serde(default)]
            pub(super) sha256: Patch<String>,
            #[schema(value_type = Option<String>, max_length = 4000)]
            #[serde(default)]
            pub(super) update_desc: Patch<String>,
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            pub(super) auto_install: Patch<bool>,
            /// Mandatory release: an update from below it installs without asking, even if a newer release is offered.
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            pub(super) mandatory: Patch<bool>,
            /// Floor release: an update from below it must not skip it.
            #[schema(value_type = Option<bool>)]
            #[serde(default)]
            pub(super) floor: Patch<bool>,
            #[schema(value_type = Option<String>, max_length = 2048)]
            #[serde(default)]
            pub(super) qrcode: Patch<String>,
            /// Icon address; the app's icon if absent.
            #[schema(value_type = Option<String>, max_length = 2048)]
            #[serde(default)]
            pub(super) icon_url: Patch<String>,
            /// Any JSON object of at most 64 KiB. Numbers are stored as written. If a member is repeated, the last one
            /// counts.
            #[schema(value_type = Option<Object>)]
            #[serde(default)]
            pub(super) config_json: Patch<Box<RawValue>>,
            /// Org scopes that the release applies to; everywhere if empty.
            #[schema(value_type = Option<Vec<OrgScopeFields>>, max_items = 1000)]
            #[serde(default)]
            pub(super) org_scopes: Patch<Vec<Object<OrgScopeFields>>>,
            /// Org scopes that are excluded, unless a deeper scope of `org_scopes` matches.
            #[schema(value_type = Option<Vec<OrgScopeFields>>, max_items = 1000)]
            #[serde(default)]
            pub(super) org_exclusions: Patch<Vec<Object<OrgScopeFields>>>,
            /// Device types that the release applies to; every type if empty.
            #[schema(value_type = Option<Vec<String>>, max_items = 100)]
            #[serde(default)]
            pub(super) device_types: Patch<Vec<String>>,
            /// Lowest version of the host app, inclusive.
            #[schema(value_type = Option<i64>, minimum = 0)]
            #[serde(default)]
            pub(super) host_version_min: Patch<i64>,
            /// Highest version of the host app, inclusive.
            #[schema(value_type = Option<i64>, minimum = 0)]
            #[serde(default)]
            pub(super) host_version_max: Patch<i64>,
            /// Attribute rules, all of which must be true.
            #[schema(value_type = Option<Vec<AttributeRuleFields>>, max_items = 50)]
            #[serde(default)]
            pub(super) attribute_rules: Patch<Vec<Object<AttributeRuleFields>>>,
            /// Allow-list: devices that pass the rollout regardless of its percentage.
            #[schema(value_type = Option<Vec<String>>, max_items = 10_000)]
            #[serde(default)]
            pub(super) device_ids: Patch<Vec<String>>,
            #[schema(value_type = Option<RolloutFields>)]
            #[serde(default)]
            pub(super) rollout: Patch<Object<RolloutFields>>,
            /// Time from which the release is offered.
            #[schema(value_type = Option<String>, format = DateTime)]
            #[serde(default)]
            pub(super) starts_at: Patch<String>,
            /// Time from which the release is no longer offered.
            #[schema(value_type = Option<String>, format = DateTime)]
            #[serde(default)]
            pub(super) ends_at: Patch<String>,
        }

        impl $name {
            /// Removes the fields from the request and parses them.
            pub(super) fn read_changes(&mut self, fields: &mut FieldReader) -> ReleaseChanges {
                ReleaseChanges {
                    version_code: fields.optional_non_null(
                        "version_code",
                        take_field(&mut self.version_code),
                        VersionCode::of_release,
                    ),
                    version_name: fields.optional_non_null(
                        "version_name",
                        take_field(&mut self.version_name),
                        VersionName::parse,
                    ),
                    download_url: fields.optional_non_null(
                        "download_url",
                        take_field(&mut self.download_url),
                        Url::parse,
                    ),
                    size: fields.optional_non_null("size", take_field(&mut self.size), read_size),
                    md5: fields.optional_non_null("md5", take_field(&mut self.md5), |text: String| Md5::parse(&text)),
                    sha256: fields.nullable(
                        "sha256",
                        take_field(&mut self.sha256),
                        |text: String| Sha256::parse(&text),
                    ),
                    update_desc: fields.optional_non_null(
                        "update_desc",
                        take_field(&mut self.update_desc),
                        UpdateDescription::parse,
                    ),
                    auto_install: fields.optional_non_null("auto_install", take_field(&mut self.auto_install), Ok),
                    mandatory: fields.optional_non_null("mandatory", take_field(&mut self.mandatory), Ok),
                    floor: fields.optional_non_null("floor", take_field(&mut self.floor), Ok),
                    qrcode: fields
                        .nullable("qrcode", take_field(&mut self.qrcode), read_optional_url)
                        .map(Option::flatten),
                    icon_url: fields
                        .nullable("icon_url", take_field(&mut self.icon_url), read_optional_url)
                        .map(Option::flatten),
                    config_json: fields.optional_non_null(
                        "config_json",
                        take_field(&mut self.config_json),
                        |json: Box<RawValue>| ConfigJson::parse(&json),
                    ),
                    org_scopes: fields.list("org_scopes", take_field(&mut self.org_scopes), |scope| scope.0.read()),
                    org_exclusions: fields.list(
                        "org_exclusions",
                        take_field(&mut self.org_exclusions),
                        |scope| scope.0.read(),
                    ),
                    device_types: fields.list("device_types", take_field(&mut self.device_types), DeviceType::parse),
                    host_version_min: fields.nullable(
                        "host_version_min",
                        take_field(&mut self.host_version_min),
                        VersionCode::new,
                    ),
                    host_version_max: fields.nullable(
                        "host_version_max",
                        take_field(&mut self.host_version_max),
                        VersionCode::new,
                    ),
                    attribute_rules: fields.list(
                        "attribute_rules",
                        take_field(&mut self.attribute_rules),
                        |rule| rule.0.read(),
                    ),
                    device_ids: fields.list("device_ids", take_field(&mut self.device_ids), DeviceId::parse),
                    rollout: fields
                        .optional_non_null("rollout", take_field(&mut self.rollout), Ok)
                        .map(|rollout: Object<RolloutFields>| rollout.0.read("rollout.", fields)),
                    starts_at: fields.nullable("starts_at", take_field(&mut self.starts_at), parse_instant),
                    ends_at: fields.nullable("ends_at", take_field(&mut self.ends_at), parse_instant),
                }
            }
        }
    };
}

release_request! {
    /// New release.
    CreateReleaseRequest {
        /// Identifier of the resource; the app itself is identified by its package name.
        #[schema(value_type = String, required, example = "com.hema.wms.chuku",
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
        #[serde(default)]
        pub(super) identifier: Patch<String>,
        /// `true` publishes the release immediately instead of creating a draft.
        #[schema(value_type = Option<bool>)]
        #[serde(default)]
        pub(super) publish: Patch<bool>,
        /// `true` publishes the release even if version names contradict the version codes.
        #[schema(value_type = Option<bool>)]
        #[serde(default)]
        pub(super) force: Patch<bool>,
    }
}

release_request! {
    /// Changes to a release. Absent fields keep their values. Version and file fields can be changed only in a draft.
    UpdateReleaseRequest {}
}

/// Share of the devices that are offered a release.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rollout)]
pub(super) struct RolloutFields {
    /// Percentage, 0 (no device) to 100 (every device), with at most two decimals.
    #[schema(value_type = f64, minimum = 0, maximum = 100, example = 12.5)]
    #[serde(default)]
    percent: Patch<Number>,
    /// Key of the rollout. Releases with the same key are offered to the same devices first. Null: the id of the
    /// release.
    #[schema(value_type = Option<String>, max_length = 128)]
    #[serde(default)]
    key: Patch<String>,
    /// Unit of the rollout: `device`, or `l1` to `l5`. Devices below the same org node of that level are included
    /// together.
    #[schema(value_type = Option<RolloutUnitValue>, example = "device")]
    #[serde(default)]
    unit: Patch<String>,
}

impl RequestPriority for RolloutFields {
    /// Returns true for a rollout of 0 percent.
    fn is_urgent(&self) -> bool {
        matches!(&self.percent, Patch::Value(percent) if percent.as_f64() == Some(0.0))
    }
}

impl RolloutFields {
    pub(super) fn is_empty(&self) -> bool {
        matches!(
            (&self.percent, &self.key, &self.unit),
            (Patch::Absent, Patch::Absent, Patch::Absent)
        )
    }

    /// Reads the fields; `prefix` is the path of the object in the body.
    pub(super) fn read(self, prefix: &str, fields: &mut FieldReader) -> RolloutChanges {
        RolloutChanges {
            share: fields.optional_non_null(&format!("{prefix}percent"), self.percent, |percent: Number| {
                Share::from_percent(&percent)
            }),
            key: fields.nullable(&format!("{prefix}key"), self.key, RolloutKey::parse),
            unit: fields.optional_non_null(&format!("{prefix}unit"), self.unit, |text: String| {
                RolloutUnit::parse(&text)
            }),
        }
    }
}

fn take_field<T>(field: &mut Patch<T>) -> Patch<T> {
    std::mem::take(field)
}

fn read_size(bytes: i64) -> Result<i64, Invalid> {
    if bytes >= 0 {
        Ok(bytes)
    } else {
        Err(Invalid::new(format!("must be an integer from 0 to {}", i64::MAX)))
    }
}
