//! `Idempotency-Key` on creates.
//!
//! The answer is stored in the transaction of the create. A repetition therefore gets the first answer, even if the
//! server died between the commit and the response.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::{Caller, Context, RequiredPermission, ServiceError};
use crate::backoff::Backoff;
use crate::storage::idempotency::{self, IdempotencyKey, ReservationId, Retention};
use crate::storage::{Db, StorageError, WriteProgress, Writer};
use slipway_domain::catalog::json::JsonText;

const RETENTION: Retention = Retention {
    // Time for which a request blocks its key if it neither completed nor failed, because its server died.
    in_flight: TimeDelta::seconds(60),
    answered: TimeDelta::hours(24),
};

/// Equal to the retention of a reservation in flight.
const RELEASE_WITHIN: Duration = Duration::from_mins(1);

/// A create with an idempotency key, its caller and its endpoint.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    pub caller: String,
    pub method: String,
    pub path: String,
    pub key: String,
    /// SHA-256 of the body. The same key with another body is an error.
    pub body_hash: String,
}

/// Outcome of a reservation attempt: the next step for a create.
pub enum IdempotencyOutcome {
    /// The create was done before: return this answer.
    Replay(Answer),
    /// The create is new: run it.
    Proceed(Reservation),
}

/// Right to run a create once; empty if the caller gave no key.
///
/// Dropping it before [`Reservation::complete`] releases the key. A create can therefore be repeated immediately after
/// a disconnect or a deadline.
pub struct Reservation(Option<HeldKey>);

/// A key that this request holds or tries to reserve.
#[derive(Clone)]
struct HeldKey {
    db: Db,
    key: IdempotencyKey,
    id: ReservationId,
    /// Progress of the reservation's write, which shows whether it may have reached the database.
    sent: Arc<WriteProgress>,
}

/// Answer to a create.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: JsonText,
    pub etag: Option<String>,
}

/// Stored form of an answer. Its body is JSON text, so that a repetition gets identical bytes.
#[derive(Serialize)]
struct AnswerText<'a> {
    body: &'a JsonText,
    etag: Option<&'a str>,
}

#[derive(Deserialize)]
struct StoredAnswer {
    body: Box<RawValue>,
    etag: Option<String>,
}

/// Idempotent write: renders the answer and stores it with the change.
pub struct IdempotentWrite<'a, T> {
    reservation: &'a Reservation,
    render: fn(&T) -> Answer,
    /// Returns the id of the object, for an answer with a secret that is shown once and never stored.
    secret: Option<fn(&T) -> String>,
}

/// Looks up the key and reserves it.
///
/// The caller must currently be authorized for the create, so that a replay reveals nothing after a loss of rights.
pub async fn reserve(
    ctx: &Context,
    caller: &Caller,
    permission: RequiredPermission,
    request: Option<IdempotentRequest>,
) -> Result<IdempotencyOutcome, ServiceError> {
    permission.authorize(ctx, caller).await?;
    let Some(request) = request else {
        return Ok(IdempotencyOutcome::Proceed(Reservation(None)));
    };
    let key = key_of(&request);
    let own_hash = stored_hash(ctx, &request.body_hash);
    let held = HeldKey {
        db: ctx.db().clone(),
        key,
        id: ReservationId::generate(),
        sent: Arc::default(),
    };
    // Created before the reservation: a reservation whose answer is lost must also be released.
    let reservation = Reservation(Some(held.clone()));
    let (db, now) = (ctx.db(), ctx.now());
    let found =
        match idempotency::reserve(db, &held.key, held.id, &held.sent, &own_hash, now, RETENTION).await? {
            idempotency::ReserveOutcome::Reserved => return Ok(IdempotencyOutcome::Proceed(reservation)),
            idempotency::ReserveOutcome::Found(found) => found,
        };
    reservation.complete();
    if !ctx
        .keyring()
        .has_fingerprint(&request.body_hash, &found.body_hash)
    {
        return Err(ServiceError::IdempotencyKeyReused);
    }
    replay(found.answer.ok_or(ServiceError::IdempotencyKeyInUse)?)
}

/// Records the answer to a call that was made without a reservation, unless its key has one.
pub async fn record_answer(
    ctx: &Context,
    request: IdempotentRequest,
    answer: Answer,
) -> Result<(), ServiceError> {
    let answer = idempotency::Answer {
        status: answer.status,
        body: Some(stored_text(&answer)),
        shows_secret: false,
        object_id: None,
    };
    let (hash, expires_at) = (
        stored_hash(ctx, &request.body_hash),
        ctx.now() + RETENTION.answered,
    );
    Ok(idempotency::record(ctx.db(), key_of(&request), hash, answer, expires_at).await?)
}

/// Returns the answer that [`record_answer`] recorded for the same call with the same body.
pub async fn find_answer(ctx: &Context, request: &IdempotentRequest) -> Result<Option<Answer>, ServiceError> {
    let found = idempotency::find(ctx.db(), &key_of(request), ctx.now()).await?;
    let is_same = |found: &idempotency::FoundRecord| {
        ctx.keyring()
            .has_fingerprint(&request.body_hash, &found.body_hash)
    };
    let Some(answer) = found.filter(is_same).and_then(|found| found.answer) else {
        return Ok(None);
    };
    match replay(answer)? {
        IdempotencyOutcome::Replay(answer) => Ok(Some(answer)),
        IdempotencyOutcome::Proceed(_) => Ok(None),
    }
}

fn key_of(request: &IdempotentRequest) -> IdempotencyKey {
    IdempotencyKey {
        caller: request.caller.clone(),
        method: request.method.clone(),
        path: request.path.clone(),
        key: request.key.clone(),
    }
}

/// A body may contain a password, which must not be guessable from the stored hash.
fn stored_hash(ctx: &Context, body_hash: &str) -> String {
    ctx.keyring().fingerprint(body_hash)
}

fn stored_text(answer: &Answer) -> String {
    let text = AnswerText {
        body: &answer.body,
        etag: answer.etag.as_deref(),
    };
    JsonText::of(&text).into_string()
}

fn replay(answer: idempotency::Answer) -> Result<IdempotencyOutcome, ServiceError> {
    if answer.shows_secret {
        return Err(ServiceError::SecretAlreadyShown {
            id: answer.object_id.unwrap_or_default(),
        });
    }
    let stored: StoredAnswer =
        serde_json::from_str(&answer.body.unwrap_or_default()).map_err(ServiceError::internal)?;
    Ok(IdempotencyOutcome::Replay(Answer {
        status: answer.status,
        etag: stored.etag,
        body: stored.body.into(),
    }))
}

impl Reservation {
    pub fn once<T>(&self, render: fn(&T) -> Answer) -> IdempotentWrite<'_, T> {
        IdempotentWrite {
            reservation: self,
            render,
            secret: None,
        }
    }

    /// Returns the write for an answer that contains a secret. The answer is stored without its body; `id` names the
    /// object.
    pub fn once_with_secret<T>(
        &self,
        render: fn(&T) -> Answer,
        id: fn(&T) -> String,
    ) -> IdempotentWrite<'_, T> {
        IdempotentWrite {
            reservation: self,
            render,
            secret: Some(id),
        }
    }

    /// Ends the request and keeps the stored answer of the key.
    pub fn complete(mut self) {
        self.0 = None;
    }

    /// Releases the key after a failed create, so that the create can be repeated.
    pub async fn release(mut self) {
        let Some(held) = &self.0 else {
            return;
        };
        match held.release().await {
            Ok(()) => self.0 = None,
            // Retried when this is dropped.
            Err(error) => tracing::debug!(%error, "an idempotency key could not be released"),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let held = self.0.take().filter(|held| held.sent.is_possibly_committed());
        if let (Some(held), Ok(runtime)) = (held, Handle::try_current()) {
            runtime.spawn(held.release_when_possible());
        }
    }
}

impl HeldKey {
    /// Releases the key unless it has an answer, even one whose commit is in progress.
    async fn release(&self) -> Result<(), StorageError> {
        idempotency::release(&self.db, &self.key, self.id).await
    }

    /// Retries until the reservation expires.
    async fn release_when_possible(self) {
        let mut backoff = Backoff::default();
        let released = timeout(RELEASE_WITHIN, async {
            while let Err(error) = self.release().await {
                tracing::debug!(%error, "an idempotency key could not be released; retrying");
                sleep(backoff.next()).await;
            }
        });
        if released.await.is_err() {
            tracing::warn!("an idempotency key stays reserved until its reservation expires");
        }
    }
}

impl<T> IdempotentWrite<'_, T> {
    /// Stores the answer in the transaction of the create.
    pub(super) fn record(&self, writer: &impl Writer, made: &T) {
        let Some(HeldKey { key, id, .. }) = &self.reservation.0 else {
            return;
        };
        let answer = (self.render)(made);
        let body = stored_text(&answer);
        let stored = idempotency::Answer {
            status: answer.status,
            body: self.secret.is_none().then_some(body),
            shows_secret: self.secret.is_some(),
            object_id: self.secret.map(|id| id(made)),
        };
        idempotency::complete(writer, key, *id, stored);
    }
}
