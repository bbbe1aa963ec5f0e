//! An artifact of a tenant.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "artifacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sha256: String,
    pub id: Uuid,
    pub md5: String,
    pub size: i64,
    pub filename: String,
    pub kind: String,
    pub package_name: Option<String>,
    pub facts: String,
    pub icon: Option<String>,
    pub link_number: i64,
    pub download_key: String,
    pub keep: bool,
    pub created_by: String,
    pub damage: Option<String>,
    pub damaged_at: Option<DateTimeUtc>,
    pub scrubbed_at: DateTimeUtc,
    pub unused_since: Option<DateTimeUtc>,
    pub etag: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
