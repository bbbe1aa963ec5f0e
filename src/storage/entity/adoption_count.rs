//! The last counts of a tenant's devices: by version, and by org node.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "adoption_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    pub counted_at: DateTimeUtc,
    pub nodes_counted_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
