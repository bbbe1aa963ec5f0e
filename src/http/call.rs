//! Extractor for calls of the admin API, in these steps:
//!
//! 1. authenticate the caller;
//! 2. read the body, as its kind requires (see [`CallBody`]);
//! 3. parse the path and the body, and acquire a permit.

use actix_web::dev::Payload;
use actix_web::http::header::IF_MATCH;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::authenticated_request::AuthenticatedRequest;
use super::body::Json;
use super::body_memory::Reservation;
use super::call_body::{AcceptedBody, CallBody};
use super::pagination::{PageQuery, page_request};
use super::path::FromPath;
use super::problem::Problem;
use super::request::read_query;
use crate::services::{Caller, Context, IdempotentRequest, Permit, Precondition};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::page::PageRequest;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

pub(super) struct Call<P = (), B = ()> {
    pub(super) ctx: web::Data<Context>,
    pub(super) caller: Caller,
    pub(super) path: P,
    pub(super) body: B,
    pub(super) request: HttpRequest,
    /// Permit of a write, held during the call.
    _permit: Option<Permit>,
    /// Memory of a body that arrived slowly, held as long as the body.
    _memory: Option<Reservation>,
}

impl<P: FromPath + 'static, B: CallBody> FromRequest for Call<P, B> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let mut request = AuthenticatedRequest::authenticate(request, payload).await?;
            let raw = B::read(&mut request).await?;
            request.record_caller();
            let path = P::from_path(&request.request)?;
            let accepted = B::accept(raw, &request).await?;
            Ok(Self::new(request, path, accepted))
        })
    }
}

impl<P, B> Call<P, B> {
    fn new(request: AuthenticatedRequest, path: P, accepted: AcceptedBody<B>) -> Self {
        Self {
            caller: request.caller(accepted.is_urgent),
            ctx: request.ctx,
            path,
            body: accepted.body,
            request: request.request,
            _permit: accepted.permit,
            _memory: accepted.memory,
        }
    }

    /// Parses the `If-Match` header.
    pub(super) fn precondition(&self) -> Result<Precondition, Problem> {
        let Some(header) = self.request.headers().get(IF_MATCH) else {
            return Ok(Precondition::None);
        };
        header.to_str().ok().and_then(parse_if_match).ok_or_else(|| {
            Problem::invalid(vec![FieldError::invalid(
                "If-Match",
                "must be * or a list of quoted entity tags, as in ETag",
            )])
        })
    }

    /// Parses a query of pagination parameters alone.
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        let query: PageQuery = self.query()?;
        page_request(query.limit.as_deref(), query.cursor.as_deref())
    }

    /// Parses the query. Unknown parameters are rejected, so that a misspelt filter does not list everything.
    pub(super) fn query<Q: DeserializeOwned>(&self) -> Result<Q, Problem> {
        read_query(&self.request)
    }
}

impl<P, T, const MAX: usize> Call<P, Json<T, MAX>> {
    /// Returns the key and the fingerprint of a request with an `Idempotency-Key`.
    pub(super) fn idempotent_request(&self) -> Result<Option<IdempotentRequest>, Problem> {
        let Some(header) = self.request.headers().get(IDEMPOTENCY_KEY) else {
            return Ok(None);
        };
        let key = header.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        let key = key.ok_or_else(|| {
            Problem::invalid(vec![FieldError::invalid(
                IDEMPOTENCY_KEY,
                "must be 1 to 255 visible ASCII characters",
            )])
        })?;
        Ok(Some(IdempotentRequest {
            caller: self.caller.principal.key(),
            method: self.request.method().to_string(),
            path: self.request.path().to_owned(),
            key: key.to_owned(),
            body_hash: self.body.hash.clone(),
        }))
    }
}

/// Parses `If-Match` (RFC 9110, section 13.1.1). A weak tag never matches, because the comparison is strong.
fn parse_if_match(header: &str) -> Option<Precondition> {
    if header.trim() == "*" {
        return Some(Precondition::Exists);
    }
    let mut etags = Vec::new();
    for tag in header.split(',') {
        let tag = tag.trim();
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        if quoted.len() == tag.len() {
            etags.push(inner.to_owned());
        }
    }
    Some(Precondition::OneOf(etags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_read_strictly() {
        let etags = |header: &str| match parse_if_match(header) {
            Some(Precondition::OneOf(etags)) => Some(etags),
            _ => None,
        };
        assert_eq!(etags("\"a\", \"b\""), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(etags("W/\"a\""), Some(Vec::new()));
        assert_eq!(etags("a"), None);
        assert_eq!(etags("\"a"), None);
        assert!(matches!(parse_if_match("*"), Some(Precondition::Exists)));
    }
}
