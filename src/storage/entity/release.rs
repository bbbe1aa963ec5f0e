//! A release; `config_json` and `targeting` are JSON, and `rollout_share` is in hundredths of a percent. `effective` is
//! true if a check can depend on the release. `version_order` sorts version names that are `SemVer`; it is empty for
//! others, and null if an older version of the program wrote the release.

#![expect(clippy::struct_excessive_bools, reason = "each is a column")]

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "releases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub app_id: Uuid,
    pub identifier: String,
    pub version_code: i64,
    pub version_name: String,
    pub state: String,
    pub recall_mode: Option<String>,
    pub recall_reason: Option<String>,
    pub download_url: String,
    pub size: i64,
    pub md5: String,
    pub sha256: Option<String>,
    pub update_desc: String,
    pub auto_install: bool,
    pub mandatory: bool,
    pub floor: bool,
    pub qrcode: Option<String>,
    pub icon_url: Option<String>,
    pub config_json: String,
    pub targeting: String,
    pub rollout_share: i32,
    pub rollout_key: Option<String>,
    pub rollout_unit: String,
    pub starts_at: Option<DateTimeUtc>,
    pub ends_at: Option<DateTimeUtc>,
    pub etag: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub published_at: Option<DateTimeUtc>,
    pub effective: bool,
    pub version_order: Option<String>,
    pub artifact_sha256: Option<String>,
    pub min_sdk: Option<i32>,
}

impl ActiveModelBehavior for ActiveModel {}
