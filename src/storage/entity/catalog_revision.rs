//! The state of a tenant's catalog.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_revisions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    pub revision: i64,
    pub head: String,
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}
