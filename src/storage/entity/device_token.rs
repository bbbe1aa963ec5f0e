//! Verification data of a device's own token.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "device_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_id: String,
    pub generation: i64,
    pub state: String,
    pub token_hash: Option<String>,
    /// Id of the secret key that verifies the token; absent unless the token is valid.
    pub key_id: Option<String>,
    pub issued_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
