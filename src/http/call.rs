//! Extractor for calls of the admin API. It authenticates the caller before it reads the body, and acquires a permit
//! only afterwards, so that a slow sender holds none. If the body arrives late, it authenticates the caller again,
//! because the credential may have changed.

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, IF_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::body::{Body, FromBody, Json, read_body};
use super::body_memory::Owner;
use super::client_address::client_address;
use super::fields::explain_members;
use super::heavy;
use super::path::FromPath;
use super::problem::Problem;
use super::request_ids;
use super::telemetry::{RequestId, record_principal};
use crate::services::{Caller, Context, IdempotentRequest, Permit, PermitClass, Precondition, sessions};
use slipway_domain::catalog::field::FieldError;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

pub(super) struct Call<P = (), B = ()> {
    pub(super) ctx: web::Data<Context>,
    pub(super) caller: Caller,
    pub(super) path: P,
    pub(super) body: B,
    pub(super) request: HttpRequest,
    /// Permit of a write, held during the call; reads need none.
    _permit: Option<Permit>,
    _bytes: Body,
}

impl<P: FromPath + 'static, B: FromBody + Send + 'static> FromRequest for Call<P, B> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let ctx = context(&request);
            let is_write = !request.method().is_safe();
            let address = client_address(&request);
            let authenticate =
                async || sessions::authenticate(&ctx, is_write, bearer(request.headers()), address).await;
            let mut principal = authenticate().await?;
            let owner = Owner::of(principal.tenant);
            let bytes = read_body(&request, &mut payload, owner, B::MAX_BYTES).await?;
            if bytes.arrived_late {
                principal = authenticate().await?;
            }
            record_principal(&request, &principal);
            let path = P::from_path(&request)?;
            let body: B = heavy::parse(&ctx, principal.tenant, bytes.bytes.clone()).await?;
            let is_urgent = is_write && body.is_urgent();
            let permit = match (is_write, is_urgent) {
                (false, _) => None,
                (true, true) => Some(acquire(&ctx, PermitClass::Urgent(principal.tenant))?),
                (true, false) => Some(acquire(&ctx, PermitClass::Person(principal.tenant))?),
            };
            let caller = Caller {
                principal,
                request_id: request_id(&request),
                address,
                is_urgent,
            };
            Ok(Self {
                ctx,
                caller,
                path,
                body,
                request,
                _permit: permit,
                _bytes: bytes,
            })
        })
    }
}

impl<P, B> Call<P, B> {
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

/// Acquires a permit for an expensive call.
pub(super) fn acquire(ctx: &Context, class: PermitClass) -> Result<Permit, Problem> {
    Ok(ctx.workload().permits.acquire(class, request_ids::next())?)
}

/// Returns the application context, which is stored when the server is built.
pub(super) fn context(request: &HttpRequest) -> web::Data<Context> {
    request
        .app_data::<web::Data<Context>>()
        .expect("the server is built with a context")
        .clone()
}

/// Returns the token of `Authorization: Bearer …` (RFC 6750). The scheme is case-insensitive.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

pub(super) fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default()
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

/// Parses the query. The attributes of `Q` reject unknown parameters.
pub(super) fn read_query<Q: DeserializeOwned>(request: &HttpRequest) -> Result<Q, Problem> {
    web::Query::<Q>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| Problem::invalid(vec![query_error(&error.to_string())]))
}

fn query_error(message: &str) -> FieldError {
    let message = message.trim_start_matches("Query deserialize error: ");
    explain_members("", message).unwrap_or_else(|| FieldError::invalid("query", message))
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
