//! What the tokens that devices hold for themselves are verified against: of each device the newest alone.
//!
//! A row outlasts the token and even the device, so that nodes learn which older tokens are good no more.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, Select};

use super::entity::device_token::{Column, Entity, Model};
use super::row::Row;
use super::{Db, Reader, StorageError, Tx, in_micros};
use crate::access::TenantScope;
use crate::catalog::ids::TenantId;
use crate::catalog::text::DeviceId;

/// Rows in one statement of a look at many.
const ROWS: u64 = 10_000;

const VALID: &str = "valid";
const REVOKED: &str = "revoked";
const FORGOTTEN: &str = "forgotten";

/// The newest token of a device, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceToken {
    /// Counts the tokens of the device and their revocations, from 1. Tokens of a lower one are good no more.
    pub generation: i64,
    pub state: TokenState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    Valid {
        hash: String,
        /// The secret key that verifies the token; `None` for one made before this was recorded.
        key_id: Option<String>,
    },
    /// Somebody revoked it: the device may have got into other hands.
    Revoked,
    /// The device was deleted.
    Forgotten,
}

/// The newest generation of a device's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGeneration {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub generation: i64,
}

/// `None` for a device that never had a token.
pub async fn find(
    reader: &impl Reader,
    scope: TenantScope,
    device: &DeviceId,
) -> Result<Option<DeviceToken>, StorageError> {
    let row = Entity::find_by_id((scope.tenant().get(), device.as_str().to_owned()))
        .one(reader.connection())
        .await?;
    row.map(read).transpose()
}

/// Writes what is newest of a device.
pub async fn upsert(
    tx: &Tx,
    scope: TenantScope,
    device: &DeviceId,
    token: &DeviceToken,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let (state, token_hash, key_id) = match &token.state {
        TokenState::Valid { hash, key_id } => (VALID, Some(hash.clone()), key_id.clone()),
        TokenState::Revoked => (REVOKED, None, None),
        TokenState::Forgotten => (FORGOTTEN, None, None),
    };
    let row = Model {
        tenant_id: scope.tenant().get(),
        device_id: device.as_str().to_owned(),
        generation: token.generation,
        state: state.to_owned(),
        token_hash,
        key_id,
        issued_at: in_micros(now),
    };
    let overwrite = OnConflict::columns([Column::TenantId, Column::DeviceId])
        .update_columns([
            Column::Generation,
            Column::State,
            Column::TokenHash,
            Column::KeyId,
            Column::IssuedAt,
        ])
        .to_owned();
    Entity::insert(row.into_active_model())
        .on_conflict(overwrite)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Those of the devices that hold a token that is good, in no order.
pub async fn list_enrolled(
    reader: &impl Reader,
    scope: TenantScope,
    devices: &[&str],
) -> Result<Vec<String>, StorageError> {
    let rows = of_tenant(scope)
        .filter(Column::DeviceId.is_in(devices.iter().copied()))
        .filter(Column::State.eq(VALID))
        .all(reader.connection())
        .await?;
    Ok(rows.into_iter().map(|row| row.device_id).collect())
}

/// The devices of all tenants whose first token was replaced or revoked; with an instant, those that were so since.
pub async fn list_replaced_anywhere(
    db: &Db,
    since: Option<DateTime<Utc>>,
) -> Result<Vec<TokenGeneration>, StorageError> {
    let rows = Entity::find()
        .filter(Column::Generation.gt(1))
        .apply_if(since, |rows, since| {
            rows.filter(Column::IssuedAt.gte(in_micros(since)))
        });
    let mut found = Vec::new();
    let mut cursor = rows.cursor_by((Column::TenantId, Column::DeviceId));
    cursor.first(ROWS);
    loop {
        let page = async { Ok(cursor.all(db.connection()).await?) };
        let page = db.within_look(page).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        cursor.after((last.tenant_id, last.device_id.clone()));
        let is_last = (page.len() as u64) < ROWS;
        for model in page {
            let row = Row::of("device_tokens", &model.device_id);
            found.push(TokenGeneration {
                tenant: row.column("tenant_id", TenantId::parse(model.tenant_id))?,
                generation: model.generation,
                device: row.column("device_id", DeviceId::parse(model.device_id.as_str()))?,
            });
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn read(model: Model) -> Result<DeviceToken, StorageError> {
    let row = Row::of("device_tokens", &model.device_id);
    let state = match (model.state.as_str(), model.token_hash) {
        (VALID, Some(hash)) => Ok(TokenState::Valid {
            hash,
            key_id: model.key_id,
        }),
        (REVOKED, None) => Ok(TokenState::Revoked),
        (FORGOTTEN, None) => Ok(TokenState::Forgotten),
        _ => Err("does not fit the token's hash"),
    };
    Ok(DeviceToken {
        generation: model.generation,
        state: row.column("state", state)?,
    })
}
