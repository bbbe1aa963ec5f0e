//! Parts of a request that calls of several kinds read.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{HttpMessage, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::fields::explain_members;
use super::problem::Problem;
use super::request_ids;
use super::telemetry::RequestId;
use crate::services::{Context, Permit, PermitClass};
use slipway_domain::catalog::field::FieldError;

/// Returns the application context, which is stored when the server is built.
pub(crate) fn context(request: &HttpRequest) -> web::Data<Context> {
    request
        .app_data::<web::Data<Context>>()
        .expect("the server is built with a context")
        .clone()
}

/// Returns the token of `Authorization: Bearer …` (RFC 6750). The scheme is case-insensitive.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

pub(crate) fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default()
}

/// Parses the query. The attributes of `Q` reject unknown parameters.
pub(crate) fn read_query<Q: DeserializeOwned>(request: &HttpRequest) -> Result<Q, Problem> {
    web::Query::<Q>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| Problem::invalid(vec![query_error(&error.to_string())]))
}

fn query_error(message: &str) -> FieldError {
    let message = message.trim_start_matches("Query deserialize error: ");
    explain_members("", message).unwrap_or_else(|| FieldError::invalid("query", message))
}

/// Acquires a permit for an expensive call.
pub(crate) fn acquire(ctx: &Context, class: PermitClass) -> Result<Permit, Problem> {
    Ok(ctx.workload().permits.acquire(class, request_ids::next())?)
}
