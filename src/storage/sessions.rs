//! Sessions of people, from login to logout. A reader of a session has proved to hold it, so no tenant scope is
//! required.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use serde::{Deserialize, Serialize};

use super::entity::session::{Column, Entity, Model};
use super::row::{Row, to_json};
use super::{Db, Reader, StorageError, Writer};
use slipway_domain::catalog::ids::{SessionId, UserId};
use slipway_domain::catalog::instant::in_micros;

#[derive(Clone)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    /// Number of the current refresh token, counted from 1.
    pub generation: i64,
    /// Most recent refreshes, oldest first.
    pub recent_refreshes: Vec<Refresh>,
    /// Network of the last sign-in or refresh.
    pub network: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Exchange of a refresh token for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// Generation of the exchanged token.
    pub generation: i64,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    /// Digest of the client that exchanged the token.
    pub client: String,
}

pub async fn find(reader: &impl Reader, id: SessionId) -> Result<Option<Session>, StorageError> {
    let row = Entity::find_by_id(id.uuid()).one(reader.connection()).await?;
    row.map(read).transpose()
}

/// Returns `true` if a person has a session that was last used from this network.
pub async fn is_of_network(
    reader: &impl Reader,
    user: UserId,
    network: &str,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let count = Entity::find()
        .filter(Column::UserId.eq(user.uuid()))
        .filter(Column::Network.eq(network))
        .filter(Column::ExpiresAt.gt(in_micros(now)))
        .count(reader.connection())
        .await?;
    Ok(count > 0)
}

pub async fn insert(writer: &impl Writer, session: Session) -> Result<(), StorageError> {
    let row = Model {
        id: session.id.uuid(),
        user_id: session.user.uuid(),
        created_at: in_micros(session.created_at),
        expires_at: in_micros(session.expires_at),
        generation: session.generation,
        recent_refreshes: to_json(&session.recent_refreshes),
        network: session.network,
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(writer.connection())
        .await?;
    Ok(())
}

/// Makes the next refresh token the current one.
///
/// Returns `false` if the session differs from `read`: of two requests with the same token only one succeeds.
pub async fn rotate(
    writer: &impl Writer,
    read: &Session,
    recent_refreshes: &[Refresh],
    network: Option<&str>,
) -> Result<bool, StorageError> {
    let updated = Entity::update_many()
        .col_expr(Column::Generation, Expr::value(read.generation + 1))
        .col_expr(Column::RecentRefreshes, Expr::value(to_json(&recent_refreshes)))
        .col_expr(Column::Network, Expr::value(network))
        .filter(Column::Id.eq(read.id.uuid()))
        .filter(Column::Generation.eq(read.generation))
        .exec(writer.connection())
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Returns `true` if the session existed.
pub async fn delete(writer: &impl Writer, id: SessionId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id(id.uuid()).exec(writer.connection()).await?;
    Ok(deleted.rows_affected > 0)
}

/// Deletes all sessions of a person and returns their number.
pub async fn delete_of_user(writer: &impl Writer, user: UserId) -> Result<u64, StorageError> {
    let deleted = Entity::delete_many()
        .filter(Column::UserId.eq(user.uuid()))
        .exec(writer.connection())
        .await?;
    Ok(deleted.rows_affected)
}

/// Deletes all sessions and returns their number.
pub async fn delete_all(writer: &impl Writer) -> Result<u64, StorageError> {
    let deleted = Entity::delete_many().exec(writer.connection()).await?;
    Ok(deleted.rows_affected)
}

/// Deletes expired sessions and returns their number.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::ExpiresAt.lte(now))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}

pub(super) fn read(model: Model) -> Result<Session, StorageError> {
    let row = Row::of("sessions", model.id);
    Ok(Session {
        id: SessionId::from_uuid(model.id),
        user: UserId::from_uuid(model.user_id),
        generation: model.generation,
        recent_refreshes: row.column("recent_refreshes", serde_json::from_str(&model.recent_refreshes))?,
        network: model.network,
        created_at: model.created_at,
        expires_at: model.expires_at,
    })
}
