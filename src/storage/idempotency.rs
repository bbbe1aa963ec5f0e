//! Creates that carry an `Idempotency-Key`: each is done once, and asked for again it is answered as before.
//!
//! A request first reserves its key, then completes the reservation in the transaction of the create itself, so that
//! the answer is there exactly when the object is.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::entity::idempotency_record::{Column, Entity, Model};
use super::progress::{WriteProgress, track_writes, untracked};
use super::row::Row;
use super::{Db, Reader, StorageError, Writer, in_micros};

/// What tells one create from another: the key counts by caller, method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub caller: String,
    pub method: String,
    pub path: String,
    pub key: String,
}

/// How long a key is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// By a request that neither completes nor releases it, because its node died.
    pub in_flight: TimeDelta,
    /// With its answer.
    pub answered: TimeDelta,
}

/// Stands for one request that holds a key, or tries to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationId(Uuid);

impl ReservationId {
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

/// What came of trying to reserve a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The key is this request's until it completes or releases it.
    Reserved,
    /// Another request has it.
    Found(FoundRecord),
}

/// The record of another request with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    pub body_hash: String,
    /// `None` while the other request is in flight.
    pub answer: Option<Answer>,
}

/// What a create was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Absent when it shows a secret, which is not stored.
    pub body: Option<String>,
    pub shows_secret: bool,
    /// The id of what was created.
    pub object_id: Option<String>,
}

/// Takes the key unless another request has it. A reservation that ran out and an expired answer count as none.
///
/// Where this fails or is given up, `sent` tells whether the key may have been taken all the same.
pub async fn reserve(
    db: &Db,
    key: &IdempotencyKey,
    reservation: (ReservationId, &Arc<WriteProgress>),
    body_hash: &str,
    (now, retention): (DateTime<Utc>, Retention),
) -> Result<Reservation, StorageError> {
    let now = in_micros(now);
    let (ReservationId(reservation), sent) = reservation;
    loop {
        let row = Model {
            body_hash: body_hash.to_owned(),
            reservation,
            reserved_until: now + retention.in_flight,
            expires_at: now + retention.answered,
            status: None,
            answer: None,
            shows_secret: false,
            object_id: None,
            caller: key.caller.clone(),
            method: key.method.clone(),
            path: key.path.clone(),
            key: key.key.clone(),
        };
        let write = db.begin_single_write().await?;
        let reserve = Entity::insert(row.into_active_model()).on_conflict(take_over_if_lapsed(now));
        let reserve = reserve.exec_without_returning(write.connection());
        let reserved = track_writes(sent.clone(), reserve).await?;
        write.keep().await?;
        if reserved > 0 {
            return Ok(Reservation::Reserved);
        }
        let found = Entity::find().filter(is_key(key)).one(db.connection()).await?;
        if let Some(found) = found {
            return read(found);
        }
        // The other request released the key in between: it is free again.
    }
}

/// Keeps the answer under the key. Refuses with [`StorageError::ReservationLost`] when another request has taken the
/// key over meanwhile, and so undoes this request's create with the transaction.
pub async fn complete(
    writer: &impl Writer,
    key: &IdempotencyKey,
    reservation: ReservationId,
    answer: Answer,
) -> Result<(), StorageError> {
    let updated = Entity::update_many()
        .col_expr(Column::Status, Expr::value(i32::from(answer.status)))
        .col_expr(Column::Answer, Expr::value(answer.body))
        .col_expr(Column::ShowsSecret, Expr::value(answer.shows_secret))
        .col_expr(Column::ObjectId, Expr::value(answer.object_id))
        .filter(is_held(key, reservation))
        .exec(writer.connection())
        .await?;
    if updated.rows_affected == 0 {
        return Err(StorageError::ReservationLost);
    }
    Ok(())
}

/// Frees the key of a request that created nothing. A key that was completed or lost stays as it is.
pub async fn release(db: &Db, key: &IdempotencyKey, reservation: ReservationId) -> Result<(), StorageError> {
    let write = db.begin_single_write().await?;
    let release = Entity::delete_many().filter(is_held(key, reservation));
    untracked(release.exec(write.connection())).await?;
    write.keep().await
}

/// Returns how many there were.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::ExpiresAt.lte(in_micros(now)))
        .exec(write.connection())
        .await?;
    write.keep().await?;
    Ok(deleted.rows_affected)
}

fn take_over_if_lapsed(now: DateTime<Utc>) -> OnConflict {
    let column = |column: Column| Expr::col((Entity, column));
    let is_expired = column(Column::ExpiresAt).lte(now);
    let was_abandoned = column(Column::Status)
        .is_null()
        .and(column(Column::ReservedUntil).lte(now));
    OnConflict::columns([Column::Caller, Column::Method, Column::Path, Column::Key])
        .update_columns([
            Column::BodyHash,
            Column::Reservation,
            Column::ReservedUntil,
            Column::Status,
            Column::Answer,
            Column::ShowsSecret,
            Column::ObjectId,
            Column::ExpiresAt,
        ])
        .action_and_where(is_expired.or(was_abandoned))
        .to_owned()
}

fn is_key(key: &IdempotencyKey) -> Condition {
    Condition::all()
        .add(Column::Caller.eq(&key.caller))
        .add(Column::Method.eq(&key.method))
        .add(Column::Path.eq(&key.path))
        .add(Column::Key.eq(&key.key))
}

fn is_held(key: &IdempotencyKey, reservation: ReservationId) -> Condition {
    is_key(key)
        .add(Column::Reservation.eq(reservation.0))
        .add(Column::Status.is_null())
}

fn read(model: Model) -> Result<Reservation, StorageError> {
    let row = Row::of("idempotency_records", model.reservation);
    let status = row.column("status", model.status.map(u16::try_from).transpose())?;
    Ok(Reservation::Found(FoundRecord {
        body_hash: model.body_hash,
        answer: status.map(|status| Answer {
            status,
            body: model.answer,
            shows_secret: model.shows_secret,
            object_id: model.object_id,
        }),
    }))
}
