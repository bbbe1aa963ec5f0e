//! Request fields for creating and updating a release.

use std::borrow::Cow;

use serde_json::Number;
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::apps::read_optional_url;
use super::rule_fields::{AttributeRuleFields, OrgScopeFields};
use crate::http::body::RequestPriority;
use crate::http::fields::{FieldReader, parse_instant};
use crate::http::object::Object;
use crate::http::request_fields::request;
use crate::http::value_schemas::RolloutUnitValue;
use slipway_domain::catalog::field::{FieldError, Invalid};
use slipway_domain::catalog::release_content::ReleaseChanges;
use slipway_domain::catalog::rollout::{RolloutChanges, RolloutUnit, Share};
use slipway_domain::catalog::text::{
    ConfigJson, DeviceId, DeviceType, Md5, RolloutKey, Sha256, UpdateDescription, Url, VersionName,
};
use slipway_domain::catalog::version::VersionCode;

/// Defines the requests with the fields of a release's content. Each field has its type in the request, and the method
/// of [`FieldReader`] that reads it.
macro_rules! release_requests {
    ($($(#[$attribute:meta])* $field:ident: $kind:ident<$type:ty> $(as $schema:ty)?, $method:ident($parse:expr);)*) => {
        request! {
            /// New release.
            pub(super) struct CreateReleaseRequest {
                /// Identifier of the resource; the app itself is identified by its package name.
                #[schema(example = "com.hema.wms.chuku", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
                pub(super) identifier: Required<String>,
                /// `true` publishes the release immediately instead of creating a draft.
                pub(super) publish: Optional<bool>,
                /// `true` publishes the release even if version names contradict the version codes.
                pub(super) force: Optional<bool>,
                /// `true` publishes an APK that is signed with another key than the newest release. Devices with an
                /// older release cannot install it.
                pub(super) accept_signer_change: Optional<bool>,
                /// `true` publishes an APK that is debuggable, for tests only, or without a v2 or v3 signature.
                pub(super) accept_unsafe_package: Optional<bool>,
                $($(#[$attribute])* $field: $kind<$type> $(as $schema)?,)*
            }
        }

        request! {
            /// Changes to a release. Absent fields keep their values. Version and file fields can be changed only in a
            /// draft.
            pub(super) struct UpdateReleaseRequest {
                $($(#[$attribute])* $field: $kind<$type> $(as $schema)?,)*
            }
        }

        impl CreateReleaseRequest {
            /// Removes the fields of the content from the request and parses them.
            pub(super) fn read_changes(&mut self, fields: &mut FieldReader) -> ReleaseChanges {
                let content = UpdateReleaseRequest {
                    $($field: std::mem::take(&mut self.$field),)*
                };
                content.read_changes(fields)
            }
        }

        impl UpdateReleaseRequest {
            pub(super) fn read_changes(self, fields: &mut FieldReader) -> ReleaseChanges {
                let changes = ReleaseChanges {
                    $($field: fields.$method(stringify!($field), self.$field, $parse),)*
                    // Read from the file.
                    min_sdk: None,
                };
                if changes.download_url.is_some() && changes.artifact.is_some() {
                    let message = "must not be given beside artifact, which has an address of its own";
                    fields.add_error(FieldError::invalid("download_url", message));
                }
                changes
            }
        }
    };
}

// A new release requires `version_code` and either `artifact` or `version_name`, `download_url`, `size` and `md5`.
release_requests! {
    /// Version code, 1 to 2^63 − 1, which orders releases. JavaScript clients are exact up to 2^53 − 1.
    #[schema(minimum = 1, example = 240)]
    version_code: Optional<i64>, optional_non_null(VersionCode::of_release);
    /// Version name, for display.
    #[schema(min_length = 1, max_length = 64, example = "1.1.10")]
    version_name: Optional<String>, optional_non_null(VersionName::parse);
    #[schema(min_length = 1, max_length = 2048, pattern = r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$", example = "https://files.example/chuku/240.bin")]
    download_url: Optional<String>, optional_non_null(|text: String| Url::parse(text).map(Some));
    /// SHA-256 of an artifact, which supplies the facts of the file. It takes the place of `download_url`; the other
    /// facts may be given if they are equal.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    artifact: Optional<String>, optional_non_null(|text: String| Sha256::parse(&text).map(Some));
    /// File size in bytes.
    #[schema(minimum = 0, example = 1_048_576)]
    size: Optional<i64>, optional_non_null(read_size);
    /// MD5 digest: 32 hexadecimal digits, case-insensitive.
    #[schema(pattern = "^[0-9A-Fa-f]{32}$", example = "0cc175b9c0f1b6a831c399e269772661")]
    md5: Optional<String>, optional_non_null(|text: String| Md5::parse(&text));
    /// SHA-256 digest: 64 hexadecimal digits, case-insensitive.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    sha256: Nullable<String>, nullable(|text: String| Sha256::parse(&text));
    #[schema(max_length = 4000)]
    update_desc: Optional<String>, optional_non_null(UpdateDescription::parse);
    auto_install: Optional<bool>, optional_non_null(Ok);
    /// Mandatory release: an update from below it installs without asking, even if a newer release is offered.
    mandatory: Optional<bool>, optional_non_null(Ok);
    /// Floor release: an update from below it must not skip it.
    floor: Optional<bool>, optional_non_null(Ok);
    #[schema(max_length = 2048, pattern = r"^([A-Za-z][A-Za-z0-9+.-]*:\S+)?$")]
    qrcode: Nullable<String>, clearable(read_optional_url);
    /// Icon address; the app's icon if absent.
    #[schema(max_length = 2048, pattern = r"^([A-Za-z][A-Za-z0-9+.-]*:\S+)?$")]
    icon_url: Nullable<String>, clearable(read_optional_url);
    /// Any JSON object of at most 64 KiB. Numbers are stored as written. If a member is repeated, the last one counts.
    config_json: Optional<Box<RawValue>> as Object, optional_non_null(|json: Box<RawValue>| ConfigJson::parse(&json));
    /// Org scopes that the release applies to; everywhere if empty.
    #[schema(max_items = 1000)]
    org_scopes: Optional<Vec<Object<OrgScopeFields>>> as Vec<OrgScopeFields>, list(|scope| scope.0.read());
    /// Org scopes that are excluded, unless a deeper scope of `org_scopes` matches.
    #[schema(max_items = 1000)]
    org_exclusions: Optional<Vec<Object<OrgScopeFields>>> as Vec<OrgScopeFields>, list(|scope| scope.0.read());
    /// Device types that the release applies to; every type if empty.
    #[schema(max_items = 100)]
    device_types: Optional<Vec<String>>, list(DeviceType::parse);
    /// Lowest version of the host app, inclusive.
    #[schema(minimum = 0)]
    host_version_min: Nullable<i64>, nullable(VersionCode::new);
    /// Highest version of the host app, inclusive.
    #[schema(minimum = 0)]
    host_version_max: Nullable<i64>, nullable(VersionCode::new);
    /// Attribute rules, all of which must be true.
    #[schema(max_items = 50)]
    attribute_rules: Optional<Vec<Object<AttributeRuleFields>>> as Vec<AttributeRuleFields>, list(|rule| rule.0.read());
    /// Allow-list: devices that pass the rollout regardless of its percentage.
    #[schema(max_items = 10_000)]
    device_ids: Optional<Vec<String>>, list(DeviceId::parse);
    rollout: Optional<Object<RolloutFields>> as RolloutFields, object(RolloutFields::read);
    /// Time from which the release is offered.
    #[schema(format = DateTime)]
    starts_at: Nullable<String>, nullable(parse_instant);
    /// Time from which the release is no longer offered.
    #[schema(format = DateTime)]
    ends_at: Nullable<String>, nullable(parse_instant);
}

/// Schema of the content in a response: the fields of an update, all of them present.
pub(super) struct ReleaseContentSchema;

impl PartialSchema for ReleaseContentSchema {
    fn schema() -> RefOr<Schema> {
        match UpdateReleaseRequest::schema() {
            RefOr::T(Schema::Object(mut content)) => {
                content.description = Some("Content of a release.".to_owned());
                content.properties.extend(response_properties());
                content.required = content.properties.keys().cloned().collect();
                content.additional_properties = None;
                RefOr::T(Schema::Object(content))
            }
            other => other,
        }
    }
}

/// Fields that differ from those of a request.
fn response_properties() -> [(String, RefOr<Schema>); 3] {
    let nullable = |kind: Type, description: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([kind, Type::Null]))
            .description(Some(description))
            .into()
    };
    [
        (
            "download_url".to_owned(),
            nullable(
                Type::String,
                "Address of the file. Null for an artifact while the server has no SLIPWAY_PUBLIC_URL.",
            ),
        ),
        (
            "artifact".to_owned(),
            nullable(
                Type::String,
                "SHA-256 of the artifact that is the file; null for an external file.",
            ),
        ),
        (
            "min_sdk".to_owned(),
            nullable(
                Type::Integer,
                "Lowest API level of Android that the file requires, if it requires one.",
            ),
        ),
    ]
}

impl ToSchema for ReleaseContentSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ReleaseContent")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        UpdateReleaseRequest::schemas(schemas);
    }
}

request! {
    /// Share of the devices that are offered a release.
    #[schema(as = Rollout)]
    pub(super) struct RolloutFields {
        /// Percentage, 0 (no device) to 100 (every device), with at most two decimals.
        #[schema(minimum = 0, maximum = 100, example = 12.5)]
        percent: Optional<Number> as f64,
        /// Key of the rollout. Releases with the same key are offered to the same devices first. Null: the id of the
        /// release.
        #[schema(min_length = 1, max_length = 128)]
        key: Nullable<String>,
        /// Unit of the rollout: `device`, or `l1` to `l5`. Devices below the same org node of that level are included
        /// together.
        #[schema(example = "device")]
        unit: Optional<String> as RolloutUnitValue,
    }
}

impl RequestPriority for RolloutFields {
    /// Returns true for a rollout of 0 percent.
    fn is_urgent(&self) -> bool {
        self.percent.value().and_then(Number::as_f64) == Some(0.0)
    }
}

impl RolloutFields {
    pub(super) fn is_empty(&self) -> bool {
        self.percent.is_absent() && self.key.is_absent() && self.unit.is_absent()
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

fn read_size(bytes: i64) -> Result<i64, Invalid> {
    if bytes >= 0 {
        Ok(bytes)
    } else {
        Err(Invalid::new(format!("must be an integer from 0 to {}", i64::MAX)))
    }
}
