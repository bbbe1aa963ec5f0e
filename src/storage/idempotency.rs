//! Creates with an `Idempotency-Key`: each runs once, and a repeat returns the stored response.
//!
//! A request first reserves its key. It completes the reservation in the transaction of the create, so that the
//! response exists if and only if the object does.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryTrait,
};
use uuid::Uuid;

use super::entity::idempotency_record::{Column, Entity, Model};
use super::progress::{WriteProgress, track_writes, without_tracking};
use super::reader::{Reader, together};
use super::row::{Row, models};
use super::statements::QueuedWrite;
use super::{Db, StorageError, Writer};
use crate::random;
use slipway_domain::catalog::instant::in_micros;

/// Number of attempts to reserve a key that another request holds and releases meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Identity of a create: the key is scoped to caller, method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub caller: String,
    pub method: String,
    pub path: String,
    pub key: String,
}

/// Lifetimes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Lifetime of a reservation that is neither completed nor released, because the node of its request died.
    pub in_flight: TimeDelta,
    /// Lifetime of a stored response.
    pub answered: TimeDelta,
}

/// Id of one request that holds a key or tries to reserve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationId(Uuid);

impl ReservationId {
    pub fn generate() -> Self {
        Self(random::uuid())
    }
}

/// Result of an attempt to reserve a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// This request holds the key until it completes or releases it.
    Reserved,
    /// Another request holds the key.
    Found(FoundRecord),
}

/// Record of another request with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    pub body_hash: String,
    /// `None` while the other request is in flight.
    pub answer: Option<Answer>,
}

/// Response of a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Absent if it shows a secret, which is not stored.
    pub body: Option<String>,
    pub shows_secret: bool,
    /// Id of the created object.
    pub object_id: Option<String>,
}

/// Reserves the key unless another request holds it. Expired reservations and responses are replaced.
///
/// After an error or a cancellation, `sent` shows whether the key may be reserved.
pub async fn reserve(
    db: &Db,
    key: &IdempotencyKey,
    reservation: ReservationId,
    sent: &Arc<WriteProgress>,
    body_hash: &str,
    now: DateTime<Utc>,
    retention: Retention,
) -> Result<ReserveOutcome, StorageError> {
    let now = in_micros(now);
    let ReservationId(reservation) = reservation;
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
    for _ in 0..MAX_ATTEMPTS {
        let write = db.begin_single_write().await?;
        let connection = write.connection();
        let backend = connection.get_database_backend();
        let reserve = Entity::insert(row.clone().into_active_model()).on_conflict(replace_if_expired(now));
        let queries = [
            reserve.build(backend),
            Entity::find().filter(is_key(key)).build(backend),
        ];
        let [_, found] = track_writes(sent.clone(), Box::pin(together(connection, queries))).await?;
        write.confirm().await?;
        match models::<Model>(&found)?.pop() {
            Some(found) if found.reservation == reservation => return Ok(ReserveOutcome::Reserved),
            Some(found) => return found_record(found).map(ReserveOutcome::Found),
            // The other request released the key in between, so the key is free again.
            None => {}
        }
    }
    // Another request held the key each time.
    Ok(ReserveOutcome::Found(FoundRecord {
        body_hash: row.body_hash,
        answer: None,
    }))
}

/// Queues the storage of the response under the key.
///
/// A later round trip, at the latest the commit, fails with [`StorageError::ReservationLost`] if another request has taken
/// over the key. The transaction of this request's create then rolls back.
pub fn complete(writer: &impl Writer, key: &IdempotencyKey, reservation: ReservationId, answer: Answer) {
    let update = Entity::update_many()
        .col_expr(Column::Status, Expr::value(i32::from(answer.status)))
        .col_expr(Column::Answer, Expr::value(answer.body))
        .col_expr(Column::ShowsSecret, Expr::value(answer.shows_secret))
        .col_expr(Column::ObjectId, Expr::value(answer.object_id))
        .filter(is_held(key, reservation));
    writer.queue(QueuedWrite {
        statement: update.build(writer.connection().get_database_backend()),
        key: None,
        if_unchanged: Some(|| StorageError::ReservationLost),
    });
}

/// Stores the response to a request that did not reserve its key. A key that is in use is unchanged.
pub async fn record(
    db: &Db,
    key: IdempotencyKey,
    body_hash: String,
    answer: Answer,
    expires_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let expires_at = in_micros(expires_at);
    let row = Model {
        body_hash,
        reservation: random::uuid(),
        reserved_until: expires_at,
        expires_at,
        status: Some(i32::from(answer.status)),
        answer: answer.body,
        shows_secret: answer.shows_secret,
        object_id: answer.object_id,
        caller: key.caller,
        method: key.method,
        path: key.path,
        key: key.key,
    };
    let write = db.begin_single_write().await?;
    let insert = Entity::insert(row.into_active_model()).on_conflict(
        OnConflict::columns([Column::Caller, Column::Method, Column::Path, Column::Key])
            .do_nothing()
            .to_owned(),
    );
    insert.exec_without_returning(write.connection()).await?;
    write.confirm().await
}

/// Returns the record of a key that has not expired.
pub async fn find(
    reader: &impl Reader,
    key: &IdempotencyKey,
    now: DateTime<Utc>,
) -> Result<Option<FoundRecord>, StorageError> {
    let find = Entity::find()
        .filter(is_key(key))
        .filter(Column::ExpiresAt.gt(in_micros(now)));
    find.one(reader.connection()).await?.map(found_record).transpose()
}

/// Releases the key of a request that created nothing. A completed or lost key is unchanged.
pub async fn release(db: &Db, key: &IdempotencyKey, reservation: ReservationId) -> Result<(), StorageError> {
    let write = db.begin_single_write().await?;
    let release = Entity::delete_many().filter(is_held(key, reservation));
    without_tracking(release.exec(write.connection())).await?;
    write.confirm().await
}

/// Deletes expired records and returns their number.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<u64, StorageError> {
    let write = db.begin_single_write().await?;
    let deleted = Entity::delete_many()
        .filter(Column::ExpiresAt.lte(in_micros(now)))
        .exec(write.connection())
        .await?;
    write.confirm().await?;
    Ok(deleted.rows_affected)
}

fn replace_if_expired(now: DateTime<Utc>) -> OnConflict {
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

fn found_record(model: Model) -> Result<FoundRecord, StorageError> {
    let row = Row::of("idempotency_records", model.reservation);
    let status = row.column("status", model.status.map(u16::try_from).transpose())?;
    Ok(FoundRecord {
        body_hash: model.body_hash,
        answer: status.map(|status| Answer {
            status,
            body: model.answer,
            shows_secret: model.shows_secret,
            object_id: model.object_id,
        }),
    })
}
