//! A resource installed on a device, with its version.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "device_installs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub package_name: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub identifier: String,
    /// App that had the package name at the time of the check. The app may have been deleted since.
    pub app_id: Option<Uuid>,
    pub version_code: i64,
    pub seen_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
