//! Fields of a release that a caller sends: all required ones to create a release, or some to change one.

use chrono::{DateTime, Utc};

use super::field::FieldError;
use super::org::OrgScope;
use super::release::{FileFacts, ReleaseContent};
use super::rollout::{Rollout, RolloutUnit, Share};
use super::targeting::Targeting;
use super::text::{
    ConfigJson, DeviceId, DeviceType, Md5, RolloutKey, Sha256, UpdateDescription, Url, VersionName,
};
use super::version::VersionCode;
use crate::catalog::attribute::AttributeRule;

/// Changes of a release. `None` leaves a field unchanged; `Some(None)` clears an optional field.
#[derive(Debug, Clone, Default)]
pub struct ReleaseChanges {
    pub version_code: Option<VersionCode>,
    pub version_name: Option<VersionName>,
    pub download_url: Option<Url>,
    pub size: Option<i64>,
    pub md5: Option<Md5>,
    pub sha256: Option<Option<Sha256>>,
    pub update_desc: Option<UpdateDescription>,
    pub auto_install: Option<bool>,
    pub mandatory: Option<bool>,
    pub floor: Option<bool>,
    pub qrcode: Option<Option<Url>>,
    pub icon_url: Option<Option<Url>>,
    pub config_json: Option<ConfigJson>,
    pub org_scopes: Option<Vec<OrgScope>>,
    pub org_exclusions: Option<Vec<OrgScope>>,
    pub device_types: Option<Vec<DeviceType>>,
    pub host_version_min: Option<Option<VersionCode>>,
    pub host_version_max: Option<Option<VersionCode>>,
    pub attribute_rules: Option<Vec<AttributeRule>>,
    pub device_ids: Option<Vec<DeviceId>>,
    pub rollout: Option<RolloutChanges>,
    pub starts_at: Option<Option<DateTime<Utc>>>,
    pub ends_at: Option<Option<DateTime<Utc>>>,
}

/// Changes of a rollout; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct RolloutChanges {
    pub share: Option<Share>,
    pub key: Option<Option<RolloutKey>>,
    pub unit: Option<RolloutUnit>,
}

impl RolloutChanges {
    pub fn apply_to(self, rollout: &mut Rollout) {
        replace(&mut rollout.share, self.share);
        replace(&mut rollout.key, self.key);
        replace(&mut rollout.unit, self.unit);
    }
}

impl ReleaseChanges {
    /// Returns the content of a new release. The errors name the required fields that are missing.
    pub fn into_new(mut self) -> Result<ReleaseContent, Vec<FieldError>> {
        let required = (
            self.version_code.take(),
            self.version_name.take(),
            self.download_url.take(),
            self.size.take(),
            self.md5.take(),
        );
        let (Some(version_code), Some(version_name), Some(download_url), Some(size), Some(md5)) = required
        else {
            return Err(missing(&required));
        };
        let mut content = ReleaseContent {
            version_code,
            version_name,
            file: FileFacts {
                download_url,
                size,
                md5,
                sha256: None,
            },
            update_desc: UpdateDescription::empty(),
            auto_install: false,
            mandatory: false,
            floor: false,
            qrcode: None,
            icon_url: None,
            config_json: ConfigJson::empty(),
            targeting: Targeting::default(),
            rollout: Rollout::default(),
            starts_at: None,
            ends_at: None,
        };
        self.apply_to(&mut content);
        Ok(content)
    }

    /// Applies the given changes. [`ReleaseContent::check`] checks the rules between fields.
    pub fn apply_to(self, content: &mut ReleaseContent) {
        replace(&mut content.version_code, self.version_code);
        replace(&mut content.version_name, self.version_name);
        replace(&mut content.file.download_url, self.download_url);
        replace(&mut content.file.size, self.size);
        replace(&mut content.file.md5, self.md5);
        replace(&mut content.file.sha256, self.sha256);
        replace(&mut content.update_desc, self.update_desc);
        replace(&mut content.auto_install, self.auto_install);
        replace(&mut content.mandatory, self.mandatory);
        replace(&mut content.floor, self.floor);
        replace(&mut content.qrcode, self.qrcode);
        replace(&mut content.icon_url, self.icon_url);
        replace(&mut content.config_json, self.config_json);
        let targeting = &mut content.targeting;
        replace(&mut targeting.org_scopes, self.org_scopes);
        replace(&mut targeting.org_exclusions, self.org_exclusions);
        replace(&mut targeting.device_types, self.device_types);
        replace(&mut targeting.host_version_min, self.host_version_min);
        replace(&mut targeting.host_version_max, self.host_version_max);
        replace(&mut targeting.attribute_rules, self.attribute_rules);
        replace(&mut targeting.device_ids, self.device_ids);
        if let Some(rollout) = self.rollout {
            rollout.apply_to(&mut content.rollout);
        }
        replace(&mut content.starts_at, self.starts_at);
        replace(&mut content.ends_at, self.ends_at);
    }
}

type Required = (
    Option<VersionCode>,
    Option<VersionName>,
    Option<Url>,
    Option<i64>,
    Option<Md5>,
);

fn missing(required: &Required) -> Vec<FieldError> {
    [
        ("version_code", required.0.is_none()),
        ("version_name", required.1.is_none()),
        ("download_url", required.2.is_none()),
        ("size", required.3.is_none()),
        ("md5", required.4.is_none()),
    ]
    .into_iter()
    .filter(|(_, missing)| *missing)
    .map(|(field, _)| FieldError::required(field))
    .collect()
}

fn replace<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
