//! Representation of a release in the audit.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::release::{RecallMode, ReleaseRecord};
use slipway_domain::catalog::targeting::Targeting;
use slipway_domain::catalog::text::{PackageName, Reason, Sha256, Url};
use slipway_domain::catalog::version::VersionCode;

/// Serializable release. It avoids `serde_json::Value` for JSON of callers, so that numbers keep their original text.
#[derive(Serialize)]
pub(super) struct AuditedRelease<'a> {
    package_name: &'a PackageName,
    identifier: &'a str,
    version_code: VersionCode,
    version_name: &'a str,
    state: &'static str,
    recall_mode: Option<&'static str>,
    recall_reason: Option<&'a str>,
    download_url: &'a str,
    size: i64,
    md5: &'a str,
    sha256: Option<&'a str>,
    update_desc: &'a str,
    auto_install: bool,
    mandatory: bool,
    floor: bool,
    qrcode: Option<&'a str>,
    icon_url: Option<&'a str>,
    config_json: &'a JsonText,
    #[serde(flatten)]
    targeting: &'a Targeting,
    rollout: Value,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

impl<'a> AuditedRelease<'a> {
    pub(super) fn new(app: &'a PackageName, record: &'a ReleaseRecord) -> Self {
        let (release, content) = (&record.release, &record.release.content);
        Self {
            package_name: app,
            identifier: release.identifier.as_str(),
            version_code: content.version_code,
            version_name: content.version_name.as_str(),
            state: release.state.name(),
            recall_mode: release.state.recall_mode().map(RecallMode::as_str),
            recall_reason: record.recall_reason.as_ref().map(Reason::as_str),
            download_url: content.file.download_url.as_str(),
            size: content.file.size,
            md5: content.file.md5.as_str(),
            sha256: content.file.sha256.as_ref().map(Sha256::as_str),
            update_desc: content.update_desc.as_str(),
            auto_install: content.auto_install,
            mandatory: content.mandatory,
            floor: content.floor,
            qrcode: content.qrcode.as_ref().map(Url::as_str),
            icon_url: content.icon_url.as_ref().map(Url::as_str),
            config_json: content.config_json.as_json(),
            targeting: &content.targeting,
            rollout: json!({
                "percent": content.rollout.share.to_percent(),
                "key": content.rollout.key,
                "unit": content.rollout.unit.to_string(),
            }),
            starts_at: content.starts_at,
            ends_at: content.ends_at,
        }
    }
}
