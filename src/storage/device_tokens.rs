//! Verification data of device tokens: only the newest token of each device.
//!
//! A row outlives the token and even the device, so that nodes learn which older tokens are invalid.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict, SimpleExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    UpdateMany,
};

use super::entity::device_token::{Column, Entity, Model};
use super::row::Row;
use super::{Db, Reader, StorageError, Tx, settings};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::enrolment::DeviceTokenState;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::DeviceId;

/// Rows per statement of a scan.
const ROWS: u64 = 10_000;

/// Devices per transaction of [`raise`].
const RAISED_AT_ONCE: u64 = 500;
/// Name of the setting that [`find_floor`] reads.
const FLOOR: &str = "device_token_floor";

/// Newest token of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceToken {
    /// Number of the device's tokens and revocations, counted from 1. Tokens of a lower generation are invalid.
    pub generation: i64,
    pub state: TokenState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    Valid {
        hash: String,
        /// Id of the secret key that verifies the token; `None` for a token from before the id was recorded.
        key_id: Option<String>,
    },
    Ended(TokenEnd),
}

/// Reason why a token is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEnd {
    /// The token was revoked, because the device may be in other hands.
    Revoked,
    /// The device was deleted.
    Forgotten,
}

impl TokenEnd {
    const fn state(self) -> DeviceTokenState {
        match self {
            Self::Revoked => DeviceTokenState::Revoked,
            Self::Forgotten => DeviceTokenState::Forgotten,
        }
    }
}

/// Newest token generation of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGeneration {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub generation: i64,
}

/// Returns `None` for a device that never had a token.
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

/// Writes the newest token state of a device.
pub async fn upsert(
    tx: &Tx,
    scope: TenantScope,
    device: &DeviceId,
    token: &DeviceToken,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let (state, token_hash, key_id) = match &token.state {
        TokenState::Valid { hash, key_id } => (DeviceTokenState::Valid, Some(hash.clone()), key_id.clone()),
        TokenState::Ended(end) => (end.state(), None, None),
    };
    let row = Model {
        tenant_id: scope.tenant().get(),
        device_id: device.as_str().to_owned(),
        generation: token.generation,
        state: state.as_str().to_owned(),
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

/// Returns those of the devices that hold a valid token, in no particular order.
pub async fn list_enrolled(
    reader: &impl Reader,
    scope: TenantScope,
    devices: &[&str],
) -> Result<Vec<String>, StorageError> {
    let rows = of_tenant(scope)
        .filter(Column::DeviceId.is_in(devices.iter().copied()))
        .filter(is_valid())
        .all(reader.connection())
        .await?;
    Ok(rows.into_iter().map(|row| row.device_id).collect())
}

/// Lists the devices of all tenants whose first token above the floor was replaced or revoked.
///
/// With `since`, the list contains only devices whose token was replaced or revoked at or after that instant.
pub async fn list_replaced_anywhere(
    db: &Db,
    floor: i64,
    since: Option<DateTime<Utc>>,
) -> Result<Vec<TokenGeneration>, StorageError> {
    let rows = Entity::find()
        .filter(Column::Generation.gt(floor + 1))
        .apply_if(since, |rows, since| {
            rows.filter(Column::IssuedAt.gte(in_micros(since)))
        });
    let mut found = Vec::new();
    let mut cursor = rows.cursor_by((Column::TenantId, Column::DeviceId));
    cursor.first(ROWS);
    loop {
        let page = async { Ok(cursor.all(db.connection()).await?) };
        let page = db.with_poll_timeout(page).await?;
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

/// Returns the generation up to which every token is invalid; 0 until a restore has been finished.
pub async fn find_floor(reader: &impl Reader) -> Result<i64, StorageError> {
    let Some(text) = settings::find(reader, FLOOR).await? else {
        return Ok(0);
    };
    Row::of("settings", FLOOR).column("value", text.parse::<i64>())
}

/// Reads the floor with the time limit of a poll.
pub async fn look_for_floor(db: &Db) -> Result<i64, StorageError> {
    db.with_poll_timeout(find_floor(db)).await
}

pub async fn set_floor(tx: &Tx, generation: i64) -> Result<(), StorageError> {
    settings::upsert(tx, FLOOR, &generation.to_string()).await
}

/// Raises every device of a tenant to a generation, one batch per transaction.
///
/// The valid tokens among them end. Returns the number of these tokens.
pub async fn raise(
    db: &Db,
    scope: TenantScope,
    generation: i64,
    end: TokenEnd,
    now: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let (mut ended, mut after) = (0, None::<String>);
    loop {
        let tx = db.begin().await?;
        let devices: Vec<String> = of_tenant(scope)
            .filter(Column::Generation.lt(generation))
            .apply_if(after.as_deref(), |rows, after| {
                rows.filter(Column::DeviceId.gt(after))
            })
            .order_by_asc(Column::DeviceId)
            .limit(RAISED_AT_ONCE)
            .select_only()
            .column(Column::DeviceId)
            .into_tuple()
            .all(tx.connection())
            .await?;
        let Some(last) = devices.last() else {
            return Ok(ended);
        };
        let raise = |rows: UpdateMany<Entity>| {
            rows.col_expr(Column::Generation, Expr::value(generation))
                .col_expr(Column::IssuedAt, Expr::value(in_micros(now)))
                .filter(Column::TenantId.eq(scope.tenant().get()))
                .filter(Column::DeviceId.is_in(devices.iter().map(String::as_str)))
                .filter(Column::Generation.lt(generation))
        };
        let valid = raise(Entity::update_many())
            .col_expr(Column::State, Expr::value(end.state().as_str()))
            .col_expr(Column::TokenHash, Expr::value(None::<String>))
            .col_expr(Column::KeyId, Expr::value(None::<String>))
            .filter(is_valid())
            .exec(tx.connection())
            .await?;
        ended += valid.rows_affected;
        raise(Entity::update_many()).exec(tx.connection()).await?;
        tx.commit().await?;
        after = Some(last.clone());
    }
}

/// Returns `true` if valid tokens without a recorded key id remain.
pub async fn lack_key_ids(reader: &impl Reader) -> Result<bool, StorageError> {
    let found = Entity::find()
        .filter(Column::KeyId.is_null())
        .filter(is_valid())
        .limit(1)
        .one(reader.connection())
        .await?;
    Ok(found.is_some())
}

/// Records the key id of valid tokens from before the id was recorded.
pub async fn fill_key_ids(tx: &Tx, key_id: &str) -> Result<(), StorageError> {
    Entity::update_many()
        .col_expr(Column::KeyId, Expr::value(key_id))
        .filter(Column::KeyId.is_null())
        .filter(is_valid())
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Revokes up to `limit` tokens that were issued with another key. Returns their number; 0 when none is left.
pub async fn revoke_not_made_with(
    db: &Db,
    key_id: &str,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<u64, StorageError> {
    let tx = db.begin().await?;
    let rows = Entity::find()
        .filter(Column::KeyId.ne(key_id))
        .order_by_asc(Column::TenantId)
        .order_by_asc(Column::DeviceId)
        .limit(limit)
        .all(tx.connection())
        .await?;
    for row in &rows {
        Entity::update_many()
            .col_expr(Column::Generation, Expr::value(row.generation + 1))
            .col_expr(Column::State, Expr::value(DeviceTokenState::Revoked.as_str()))
            .col_expr(Column::TokenHash, Expr::value(None::<String>))
            .col_expr(Column::KeyId, Expr::value(None::<String>))
            .col_expr(Column::IssuedAt, Expr::value(in_micros(now)))
            .filter(Column::TenantId.eq(row.tenant_id))
            .filter(Column::DeviceId.eq(row.device_id.as_str()))
            // A device that renewed its token in the meantime keeps the new one.
            .filter(Column::Generation.eq(row.generation))
            .exec(tx.connection())
            .await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}

fn is_valid() -> SimpleExpr {
    Column::State.eq(DeviceTokenState::Valid.as_str())
}

fn of_tenant(scope: TenantScope) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(scope.tenant().get()))
}

fn read(model: Model) -> Result<DeviceToken, StorageError> {
    let row = Row::of("device_tokens", &model.device_id);
    let state = match (DeviceTokenState::parse(&model.state), model.token_hash) {
        (Ok(DeviceTokenState::Valid), Some(hash)) => Ok(TokenState::Valid {
            hash,
            key_id: model.key_id,
        }),
        (Ok(DeviceTokenState::Revoked), None) => Ok(TokenState::Ended(TokenEnd::Revoked)),
        (Ok(DeviceTokenState::Forgotten), None) => Ok(TokenState::Ended(TokenEnd::Forgotten)),
        _ => Err("does not match the token's hash"),
    };
    Ok(DeviceToken {
        generation: model.generation,
        state: row.column("state", state)?,
    })
}
