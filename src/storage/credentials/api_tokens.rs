//! API tokens of tenants and of the platform. The tokens of the platform administer the installation and belong to no
//! tenant.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition};

use super::StoredCredential;
use super::columns::CommonColumns;
use crate::storage::entity::{api_token, platform_token};
use crate::storage::row::Row;
use crate::storage::{StorageError, Tx};
use slipway_domain::access::{ApiToken, Platform, PlatformToken, Role, TenantScope};
use slipway_domain::catalog::versioned::Versioned;

/// Stored with the hash of the secret.
impl StoredCredential for ApiToken {
    type Scope = TenantScope;
    type Tx = Tx;
    type Secret = String;
    type Entity = api_token::Entity;

    const ID: api_token::Column = api_token::Column::Id;
    const LAST_USED_ON: api_token::Column = api_token::Column::LastUsedOn;

    fn of_owner(scope: TenantScope) -> Condition {
        Condition::all().add(api_token::Column::TenantId.eq(scope.tenant().get()))
    }

    fn to_row(stored: &Versioned<Self>, scope: TenantScope, secret_hash: String) -> api_token::ActiveModel {
        api_token::ActiveModel {
            tenant_id: Set(scope.tenant().get()),
            role: Set(stored.value.role.as_str().to_owned()),
            secret_hash: Set(secret_hash),
            ..stored.into()
        }
    }

    fn read(row: api_token::Model) -> Result<Versioned<Self>, StorageError> {
        let role = Row::of("api_tokens", row.id).column("role", Role::parse_of_tenant(&row.role))?;
        CommonColumns::from(row).read(|id, name, facts| Self {
            id,
            name,
            role,
            facts,
        })
    }
}

/// Stored with the hash of the secret.
impl StoredCredential for PlatformToken {
    type Scope = Platform;
    type Tx = Tx;
    type Secret = String;
    type Entity = platform_token::Entity;

    const ID: platform_token::Column = platform_token::Column::Id;
    const LAST_USED_ON: platform_token::Column = platform_token::Column::LastUsedOn;

    fn of_owner(Platform: Platform) -> Condition {
        Condition::all()
    }

    fn to_row(
        stored: &Versioned<Self>,
        Platform: Platform,
        secret_hash: String,
    ) -> platform_token::ActiveModel {
        platform_token::ActiveModel {
            secret_hash: Set(secret_hash),
            ..stored.into()
        }
    }

    fn read(row: platform_token::Model) -> Result<Versioned<Self>, StorageError> {
        CommonColumns::from(row).read(|id, name, facts| Self { id, name, facts })
    }
}
