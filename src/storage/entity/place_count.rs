//! Number of devices with the same org places; `places` is their JSON, empty for devices without any. Triggers of
//! `devices` write it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "place_counts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    pub places: String,
    pub devices: i64,
}

impl ActiveModelBehavior for ActiveModel {}
