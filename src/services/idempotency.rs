//! `Idempotency-Key` on creates: the answer is stored in the transaction of the create, so that a repeat gets the
//! first answer even when the server died between the commit and the response.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::{Caller, Context, ServiceError};
use crate::access::{Action, enter_platform};
use crate::backoff::Backoff;
use crate::catalog::ids::TenantId;
use crate::catalog::json::JsonText;
use crate::storage::idempotency::{self, IdempotencyKey, Reservation, ReservationId, Retention};
use crate::storage::{Db, StorageError, WriteProgress, Writer};

const RETENTION: Retention = Retention {
    // A request that neither finished nor failed (its server died) blocks its key for so long.
    in_flight: TimeDelta::seconds(60),
    answered: TimeDelta::hours(24),
};

/// As long as a reservation in flight.
const RELEASE_WITHIN: Duration = Duration::from_mins(1);

/// A create with a key, by whom and where.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    pub caller: String,
    pub method: String,
    pub path: String,
    pub key: String,
    /// SHA-256 of the body; the same key with another body is a mistake.
    pub body_hash: String,
}

/// What to do with a create.
pub enum Begun {
    /// It was done before: answer this.
    Replay(Answer),
    /// Do it.
    Go(Ticket),
}

/// The right to do a create once; empty when the caller gave no key. Dropped before [`Ticket::keep`] it frees the key,
/// so that a create whose caller hung up or whose deadline came can be repeated at once.
pub struct Ticket(Option<Held>);

/// A key that this request holds, or tries to.
#[derive(Clone)]
struct Held {
    db: Db,
    key: IdempotencyKey,
    reservation: ReservationId,
    /// Says whether the reservation was sent to the database.
    sent: Arc<WriteProgress>,
}

/// What a create is answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: JsonText,
    pub etag: Option<String>,
}

/// How an answer is stored. Its body is text within the text, so that a repeat gets it to the byte.
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

/// Does a create once: renders the answer and stores it with the change.
pub struct Once<'a, T> {
    ticket: &'a Ticket,
    render: fn(&T) -> Answer,
    /// The member of the body that is shown once and never stored, and the object's id.
    secret: Option<fn(&T) -> String>,
}

/// Looks the key up and reserves it. The caller must be allowed the create now, so that a replay tells nobody what they
/// may not do any more. `tenant` is `None` for what belongs to the installation.
pub async fn begin(
    ctx: &Context,
    caller: &Caller,
    (tenant, action): (Option<TenantId>, Action),
    request: Option<IdempotentRequest>,
) -> Result<Begun, ServiceError> {
    match tenant {
        Some(tenant) => drop(ctx.enter(caller, tenant, action).await?),
        None => enter_platform(&caller.principal, action)?,
    }
    let Some(request) = request else {
        return Ok(Begun::Go(Ticket(None)));
    };
    let key = IdempotencyKey {
        caller: request.caller,
        method: request.method,
        path: request.path,
        key: request.key,
    };
    // A body may hold a password, which must not be guessable from what is stored.
    let own_hash = ctx.keyring.fingerprint(&request.body_hash);
    let held = Held {
        db: ctx.db.clone(),
        key,
        reservation: ReservationId::generate(),
        sent: Arc::default(),
    };
    // There before its key is taken: a reservation whose answer does not come must be freed too.
    let ticket = Ticket(Some(held.clone()));
    let reservation = (held.reservation, &held.sent);
    let retention = (ctx.now(), RETENTION);
    let found = match idempotency::reserve(&ctx.db, &held.key, reservation, &own_hash, retention).await? {
        Reservation::Reserved => return Ok(Begun::Go(ticket)),
        Reservation::Found(found) => found,
    };
    ticket.keep();
    if !ctx.keyring.has_fingerprint(&request.body_hash, &found.body_hash) {
        return Err(ServiceError::IdempotencyKeyReused);
    }
    replay(found.answer.ok_or(ServiceError::IdempotencyKeyInUse)?)
}

fn replay(answer: idempotency::Answer) -> Result<Begun, ServiceError> {
    if answer.shows_secret {
        return Err(ServiceError::SecretAlreadyShown {
            id: answer.object_id.unwrap_or_default(),
        });
    }
    let stored: StoredAnswer =
        serde_json::from_str(&answer.body.unwrap_or_default()).map_err(ServiceError::internal)?;
    Ok(Begun::Replay(Answer {
        status: answer.status,
        etag: stored.etag,
        body: stored.body.into(),
    }))
}

impl Ticket {
    pub fn once<T>(&self, render: fn(&T) -> Answer) -> Once<'_, T> {
        Once {
            ticket: self,
            render,
            secret: None,
        }
    }

    /// For an answer that shows a secret: `id` names the object, and the answer is stored without its body.
    pub fn once_with_secret<T>(&self, render: fn(&T) -> Answer, id: fn(&T) -> String) -> Once<'_, T> {
        Once {
            ticket: self,
            render,
            secret: Some(id),
        }
    }

    /// Ends the request with the key's answer stored.
    pub fn keep(mut self) {
        self.0 = None;
    }

    /// Frees the key after a create that failed, so that it may be tried again.
    pub async fn release(mut self) {
        let Some(held) = &self.0 else {
            return;
        };
        match held.release().await {
            Ok(()) => self.0 = None,
            // Tried again when this is dropped.
            Err(error) => tracing::debug!(%error, "an idempotency key could not be freed"),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let held = self.0.take().filter(|held| held.sent.may_be_done());
        if let (Some(held), Ok(runtime)) = (held, Handle::try_current()) {
            runtime.spawn(held.release_when_possible());
        }
    }
}

impl Held {
    /// Leaves a key that has its answer as it is, also one whose answer is just being committed.
    async fn release(&self) -> Result<(), StorageError> {
        idempotency::release(&self.db, &self.key, self.reservation).await
    }

    /// Tries until the reservation ends by itself.
    async fn release_when_possible(self) {
        let mut backoff = Backoff::default();
        let released = timeout(RELEASE_WITHIN, async {
            while let Err(error) = self.release().await {
                tracing::debug!(%error, "an idempotency key could not be freed; it is tried again");
                sleep(backoff.next()).await;
            }
        });
        if released.await.is_err() {
            tracing::warn!("an idempotency key stays reserved until its reservation ends");
        }
    }
}

impl<T> Once<'_, T> {
    /// Stores the answer in the transaction of the create.
    pub(super) async fn record(&self, writer: &impl Writer, made: &T) -> Result<(), StorageError> {
        let Some(Held { key, reservation, .. }) = &self.ticket.0 else {
            return Ok(());
        };
        let answer = (self.render)(made);
        let text = AnswerText {
            body: &answer.body,
            etag: answer.etag.as_deref(),
        };
        let body = JsonText::of(&text).into_string();
        let stored = idempotency::Answer {
            status: answer.status,
            body: self.secret.is_none().then_some(body),
            shows_secret: self.secret.is_some(),
            object_id: self.secret.map(|id| id(made)),
        };
        idempotency::complete(writer, key, *reservation, stored).await
    }
}
