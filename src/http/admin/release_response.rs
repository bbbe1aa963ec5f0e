//! Response type of a release.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use super::release_fields::RolloutFields;
use super::rule_fields::{AttributeRuleFields, OrgScopeFields};
use crate::http::value_schemas::{RecallModeValue, ReleaseStateValue};
use slipway_domain::catalog::attribute::AttributeRule;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::org::OrgScope;
use slipway_domain::catalog::release::ReleaseRecord;
use slipway_domain::catalog::rollout::Rollout;
use slipway_domain::catalog::version::VersionCode;
use slipway_domain::catalog::versioned::Versioned;

#[derive(Serialize, ToSchema)]
pub(super) struct ReleaseResponse {
    id: String,
    identifier: String,
    version_code: i64,
    version_name: String,
    /// State: `draft`, `published`, `paused`, `recalled` or `discarded`.
    #[schema(value_type = ReleaseStateValue, example = "published")]
    state: &'static str,
    /// Recall mode of a recalled release: `stop`, `rollback` or `removal`.
    #[schema(value_type = Option<RecallModeValue>)]
    recall_mode: Option<&'static str>,
    recall_reason: Option<String>,
    download_url: String,
    size: i64,
    md5: String,
    sha256: Option<String>,
    update_desc: String,
    auto_install: bool,
    mandatory: bool,
    floor: bool,
    qrcode: Option<String>,
    icon_url: Option<String>,
    #[schema(value_type = Object)]
    config_json: JsonText,
    #[schema(value_type = Vec<OrgScopeFields>)]
    org_scopes: Vec<OrgScope>,
    #[schema(value_type = Vec<OrgScopeFields>)]
    org_exclusions: Vec<OrgScope>,
    device_types: Vec<String>,
    host_version_min: Option<i64>,
    host_version_max: Option<i64>,
    #[schema(value_type = Vec<AttributeRuleFields>)]
    attribute_rules: Vec<AttributeRule>,
    device_ids: Vec<String>,
    #[schema(value_type = RolloutFields)]
    rollout: RolloutResponse,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    published_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct RolloutResponse {
    percent: Number,
    key: Option<String>,
    unit: String,
}

impl From<&Rollout> for RolloutResponse {
    fn from(rollout: &Rollout) -> Self {
        Self {
            percent: rollout.share.to_percent(),
            key: rollout.key.as_ref().map(ToString::to_string),
            unit: rollout.unit.to_string(),
        }
    }
}

impl From<&Versioned<ReleaseRecord>> for ReleaseResponse {
    fn from(stored: &Versioned<ReleaseRecord>) -> Self {
        let record = &stored.value;
        let (release, content) = (&record.release, &record.release.content);
        let targeting = content.targeting.clone();
        Self {
            id: release.id.to_string(),
            identifier: release.identifier.to_string(),
            version_code: content.version_code.get(),
            version_name: content.version_name.to_string(),
            state: release.state.name(),
            recall_mode: release
                .state
                .recall_mode()
                .map(slipway_domain::catalog::release::RecallMode::as_str),
            recall_reason: record.recall_reason.as_ref().map(ToString::to_string),
            download_url: content.file.download_url.to_string(),
            size: content.file.size,
            md5: content.file.md5.as_str().to_owned(),
            sha256: content
                .file
                .sha256
                .as_ref()
                .map(|sha256| sha256.as_str().to_owned()),
            update_desc: content.update_desc.to_string(),
            auto_install: content.auto_install,
            mandatory: content.mandatory,
            floor: content.floor,
            qrcode: content.qrcode.as_ref().map(ToString::to_string),
            icon_url: content.icon_url.as_ref().map(ToString::to_string),
            config_json: content.config_json.as_json().clone(),
            org_scopes: targeting.org_scopes,
            org_exclusions: targeting.org_exclusions,
            device_types: targeting.device_types.iter().map(ToString::to_string).collect(),
            host_version_min: targeting.host_version_min.map(VersionCode::get),
            host_version_max: targeting.host_version_max.map(VersionCode::get),
            attribute_rules: targeting.attribute_rules,
            device_ids: targeting.device_ids.iter().map(ToString::to_string).collect(),
            rollout: RolloutResponse::from(&content.rollout),
            starts_at: content.starts_at,
            ends_at: content.ends_at,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            published_at: record.published_at,
        }
    }
}

/// Created release, or the existing release of the same version.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedReleaseResponse {
    #[serde(flatten)]
    pub(super) release: ReleaseResponse,
    /// Fields of the request that differ from the existing release and were not applied.
    pub(super) ignored: Vec<&'static str>,
}
