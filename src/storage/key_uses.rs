//! Day of the last use of API tokens and keys.
//!
//! No check depends on it, so a plain [`Tx`] writes it. The rows keep their entity tags.

use chrono::NaiveDate;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::entity::{api_token, app_key, device_key, platform_token};
use super::{Reader as _, StorageError, Tx};
use slipway_domain::catalog::ids::{KeyId, TenantId};

/// Token or key. A token of the platform has no tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef {
    ApiToken(TenantId, KeyId),
    AppKey(TenantId, KeyId),
    DeviceKey(TenantId, KeyId),
    PlatformToken(KeyId),
}

/// Records that a key was used on a day, unless a later day is stored.
pub async fn record_use(tx: &Tx, key: KeyRef, day: NaiveDate) -> Result<(), StorageError> {
    match key {
        KeyRef::ApiToken(tenant, id) => {
            use api_token::{Column, Entity};
            let row = Column::TenantId.eq(tenant.get());
            update::<Entity>(tx, Column::LastUsedOn, row.and(of_id(Column::Id, id)), day).await
        }
        KeyRef::AppKey(tenant, id) => {
            use app_key::{Column, Entity};
            let row = Column::TenantId.eq(tenant.get());
            update::<Entity>(tx, Column::LastUsedOn, row.and(of_id(Column::Id, id)), day).await
        }
        KeyRef::DeviceKey(tenant, id) => {
            use device_key::{Column, Entity};
            let row = Column::TenantId.eq(tenant.get());
            update::<Entity>(tx, Column::LastUsedOn, row.and(of_id(Column::Id, id)), day).await
        }
        KeyRef::PlatformToken(id) => {
            use platform_token::{Column, Entity};
            update::<Entity>(tx, Column::LastUsedOn, of_id(Column::Id, id), day).await
        }
    }
}

fn of_id(column: impl ColumnTrait, id: KeyId) -> SimpleExpr {
    column.eq(id.uuid())
}

async fn update<E: EntityTrait>(
    tx: &Tx,
    last_used_on: E::Column,
    row: SimpleExpr,
    day: NaiveDate,
) -> Result<(), StorageError> {
    let is_later = Condition::any()
        .add(last_used_on.is_null())
        .add(last_used_on.lt(day));
    E::update_many()
        .col_expr(last_used_on, Expr::value(day))
        .filter(row)
        .filter(is_later)
        .exec(tx.connection())
        .await?;
    Ok(())
}
