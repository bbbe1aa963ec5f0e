//! A device; `org_info` and `attributes` are JSON.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "devices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_id: String,
    pub project_id: Option<String>,
    pub device_type: Option<String>,
    pub org_info: Option<String>,
    pub source: String,
    pub first_seen_at: Option<DateTimeUtc>,
    pub last_seen_at: Option<DateTimeUtc>,
    pub push_sequence: i64,
    pub connected_node: Option<Uuid>,
    pub attributes: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
