//! A gateway key.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "app_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub app_key: String,
    pub secret_sealed: String,
    pub sealing_key_id: String,
    pub previous_secret_sealed: Option<String>,
    pub previous_sealing_key_id: Option<String>,
    pub created_by: Option<String>,
    pub expires_at: Option<DateTimeUtc>,
    pub last_used_on: Option<Date>,
    pub etag: String,
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
