//! Space that the artifacts of a tenant use, and the number of its newest download link.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact_usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    pub used_bytes: i64,
    pub last_link: i64,
}

impl ActiveModelBehavior for ActiveModel {}
