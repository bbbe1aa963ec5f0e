//! Sessions of people, from login to logout. Whoever reads one has proved to hold it, so no tenant is asked for.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::entity::session::{Column, Entity, Model};
use super::{Db, Reader, StorageError, Writer, in_micros};
use crate::catalog::ids::{SessionId, UserId};

#[derive(Clone)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    /// What the refresh token is verified against; each token is good once.
    pub refresh_hash: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub async fn find(reader: &impl Reader, id: SessionId) -> Result<Option<Session>, StorageError> {
    let row = Entity::find_by_id(id.uuid()).one(reader.connection()).await?;
    Ok(row.map(read))
}

pub async fn insert(writer: &impl Writer, session: Session) -> Result<(), StorageError> {
    let row = Model {
        id: session.id.uuid(),
        user_id: session.user.uuid(),
        refresh_hash: session.refresh_hash,
        created_at: in_micros(session.created_at),
        expires_at: in_micros(session.expires_at),
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(writer.connection())
        .await?;
    Ok(())
}

/// Puts a new refresh token in the place of the one that was shown. `false` when that is not the session's token
/// (any more): of two requests with the same token only one gets through.
pub async fn rotate(
    writer: &impl Writer,
    id: SessionId,
    shown_hash: &str,
    new_hash: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let updated = Entity::update_many()
        .col_expr(Column::RefreshHash, Expr::value(new_hash))
        .col_expr(Column::ExpiresAt, Expr::value(in_micros(expires_at)))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::RefreshHash.eq(shown_hash))
        .exec(writer.connection())
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Whether there was such a session.
pub async fn delete(writer: &impl Writer, id: SessionId) -> Result<bool, StorageError> {
    let deleted = Entity::delete_by_id(id.uuid()).exec(writer.connection()).await?;
    Ok(deleted.rows_affected > 0)
}

/// Ends all sessions of a person; returns how many there were.
pub async fn delete_of_user(writer: &impl Writer, user: UserId) -> Result<u64, StorageError> {
    let deleted = Entity::delete_many()
        .filter(Column::UserId.eq(user.uuid()))
        .exec(writer.connection())
        .await?;
    Ok(deleted.rows_affected)
}

/// Returns how many there were.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::ExpiresAt.lte(now))
        .exec(write.connection())
        .await?;
    write.keep().await?;
    Ok(deleted.rows_affected)
}

fn read(model: Model) -> Session {
    Session {
        id: SessionId::from_uuid(model.id),
        user: UserId::from_uuid(model.user_id),
        refresh_hash: model.refresh_hash,
        created_at: model.created_at,
        expires_at: model.expires_at,
    }
}
