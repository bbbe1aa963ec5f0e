//! A device that a push is addressed to.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "push_targets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub push_id: Uuid,
    pub project_id: String,
    pub state: String,
    pub open_until: Option<DateTimeUtc>,
    pub mqtt_due_at: Option<DateTimeUtc>,
    pub channel: Option<String>,
    pub deliveries: i64,
    pub changed_at: DateTimeUtc,
    pub delivered_at: Option<DateTimeUtc>,
    pub received_at: Option<DateTimeUtc>,
    pub opened_at: Option<DateTimeUtc>,
    pub ended_at: Option<DateTimeUtc>,
    pub detail: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
