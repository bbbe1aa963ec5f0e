//! Successful responses: bodies, entity tags, the catalog revision, and idempotent creates.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, ETAG, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::body::Json;
use super::call::Call;
use super::problem::Problem;
use crate::services::{
    Answer, IdempotencyOutcome, RequiredPermission, Reservation, ServiceError, WriteResult,
    reserve_idempotency_key,
};
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::versioned::Versioned;

/// Catalog revision that the response was computed from, or that contains the write.
pub(super) const SLIPWAY_REVISION: HeaderName = HeaderName::from_static("slipway-revision");

/// Responds with an object in its current state.
pub(super) fn respond_object(body: &impl Serialize, etag: &str) -> HttpResponse {
    response_with_etag(StatusCode::OK, etag).json(body)
}

/// Responds with a stored value in its current state.
pub(super) fn respond_versioned<'a, R, T>(stored: &'a Versioned<T>) -> HttpResponse
where
    R: From<&'a Versioned<T>> + Serialize,
{
    respond_object(&R::from(stored), &stored.etag)
}

/// Responds to a write with the stored value.
pub(super) fn respond_written_versioned<'a, R, T>(written: &'a WriteResult<Versioned<T>>) -> HttpResponse
where
    R: From<&'a Versioned<T>> + Serialize,
{
    let stored = &written.value;
    respond_written(&R::from(stored), &stored.etag, written.revision.as_ref())
}

/// Responds with a serialized body.
pub(super) fn text(body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

/// Responds with a serialized object.
pub(super) fn object_text(body: Vec<u8>, etag: &str) -> HttpResponse {
    response_with_etag(StatusCode::OK, etag)
        .content_type(ContentType::json())
        .body(body)
}

/// Responds to a write with a serialized body.
pub(super) fn written_text(body: Vec<u8>, etag: &str, revision: Option<&CatalogRevision>) -> HttpResponse {
    with_revision(response_with_etag(StatusCode::OK, etag), revision)
        .content_type(ContentType::json())
        .body(body)
}

/// Responds with an object that stores no entity tag. The tag is a digest of the body.
pub(super) fn respond_with_digest(body: &impl Serialize) -> HttpResponse {
    let text = text_of(body);
    response_with_etag(StatusCode::OK, &digest_of(&text))
        .content_type(ContentType::json())
        .body(text)
}

/// Returns the entity tag that [`respond_with_digest`] computes for an object.
pub(super) fn digest(body: &impl Serialize) -> String {
    digest_of(&text_of(body))
}

/// Serializes a body for [`text`], [`object_text`] or [`written_text`].
pub(super) fn text_of(body: &impl Serialize) -> Vec<u8> {
    // These bodies contain only texts, numbers and lists, which always serialize.
    serde_json::to_vec(body).unwrap_or_default()
}

fn digest_of(text: &[u8]) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// Responds to a write with the object.
pub(super) fn respond_written(
    body: &impl Serialize,
    etag: &str,
    revision: Option<&CatalogRevision>,
) -> HttpResponse {
    with_revision(response_with_etag(StatusCode::OK, etag), revision).json(body)
}

/// Responds to a write of several objects, which have no entity tag together.
pub(super) fn respond_written_list(
    body: &impl Serialize,
    revision: Option<&CatalogRevision>,
) -> HttpResponse {
    with_revision(HttpResponse::Ok(), revision).json(body)
}

/// Responds to a create that is idempotent by itself.
pub(super) fn respond_created(body: &impl Serialize, etag: &str) -> HttpResponse {
    response_with_etag(StatusCode::CREATED, etag).json(body)
}

/// Responds to a deletion.
pub(super) fn respond_deleted(revision: Option<&CatalogRevision>) -> HttpResponse {
    with_revision(HttpResponse::NoContent(), revision).finish()
}

/// Executes a create once per `Idempotency-Key` and responds with its rendered answer. The caller needs `permission`
/// for the create and for its replay.
pub(super) async fn create<P, B, T, const MAX: usize>(
    call: &Call<P, Json<B, MAX>>,
    permission: RequiredPermission,
    render: fn(&T) -> Answer,
    act: impl AsyncFnOnce(&Arc<Reservation>) -> Result<WriteResult<T>, ServiceError>,
) -> Result<HttpResponse, Problem> {
    let reservation =
        match reserve_idempotency_key(&call.ctx, &call.caller, permission, call.idempotent_request()?).await?
        {
            IdempotencyOutcome::Replay(answer) => return Ok(send_answer(answer, None, true)),
            IdempotencyOutcome::Proceed(reservation) => Arc::new(reservation),
        };
    let made = act(&reservation).await;
    // After a failure another thread may still hold the reservation. The key is released when the last holder drops it.
    let reservation = Arc::into_inner(reservation);
    match made {
        Ok(made) => {
            reservation.into_iter().for_each(Reservation::complete);
            Ok(send_answer(render(&made.value), made.revision.as_ref(), false))
        }
        Err(error) => {
            // A failing database is not waited for: dropping the reservation releases the key.
            if let Some(reservation) = reservation.filter(|_| !error.is_transient()) {
                reservation.release().await;
            }
            Err(error.into())
        }
    }
}

/// Builds the answer of a create, which is both sent and stored.
pub(super) fn created_answer(body: &impl Serialize, etag: &str) -> Answer {
    answer(StatusCode::CREATED, body, etag)
}

/// Builds the answer of a create that stored a value.
pub(super) fn created_versioned<R, T>(stored: &Versioned<T>) -> Answer
where
    R: for<'a> From<&'a Versioned<T>> + Serialize,
{
    created_answer(&R::from(stored), &stored.etag)
}

pub(super) fn answer(status: StatusCode, body: &impl Serialize, etag: &str) -> Answer {
    Answer {
        status: status.as_u16(),
        body: JsonText::of(body),
        etag: Some(etag.to_owned()),
    }
}

/// Builds the answer of a create that produces no single object.
pub(super) fn answer_without_etag(status: StatusCode, body: &impl Serialize) -> Answer {
    Answer {
        etag: None,
        ..answer(status, body, "")
    }
}

fn send_answer(answer: Answer, revision: Option<&CatalogRevision>, is_replay: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = match &answer.etag {
        Some(etag) => response_with_etag(status, etag),
        None => HttpResponse::build(status),
    };
    if is_replay {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    with_revision(response, revision).json(answer.body)
}

fn response_with_etag(status: StatusCode, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((ETAG, format!("\"{etag}\"")));
    response
}

fn with_revision(
    mut response: HttpResponseBuilder,
    revision: Option<&CatalogRevision>,
) -> HttpResponseBuilder {
    if let Some(revision) = revision {
        response.insert_header((SLIPWAY_REVISION, revision.to_string()));
    }
    response
}
