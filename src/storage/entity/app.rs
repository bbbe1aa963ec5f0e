//! An app; `effective_as_of` is the revision for which `effective` of its releases is computed.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "apps")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub package_name: String,
    pub app_name: String,
    pub icon_url: Option<String>,
    pub enabled: bool,
    pub revision: i64,
    pub head: String,
    pub effective_as_of: i64,
    /// Revision at the last change of the row itself.
    pub changed_in: i64,
    pub etag: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
