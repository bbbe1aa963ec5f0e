//! Number of devices that have a version and reported it last on a day. Triggers of `device_installs` write it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "install_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub identifier: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub version_code: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seen_on: Date,
    pub devices: i64,
}

impl ActiveModelBehavior for ActiveModel {}
