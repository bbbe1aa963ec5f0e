//! Authentication of the callers of the admin API: people by a session, pipelines by an API token.

use std::net::IpAddr;

use super::WRONG_CREDENTIAL;
use super::api_tokens::authenticate_api_token;
use super::sessions::authenticate_access_token;
use crate::secrets::{PresentedToken, TokenKind};
use crate::services::{Context, ServiceError};
use slipway_domain::access::Principal;

/// Authenticates a bearer token. A write uses the urgent connections, so that it does not queue for one.
pub async fn authenticate_principal(
    ctx: &Context,
    is_write: bool,
    bearer: Option<&str>,
    address: Option<IpAddr>,
) -> Result<Principal, ServiceError> {
    let bearer = bearer.ok_or(WRONG_CREDENTIAL)?;
    let db = if is_write {
        ctx.db().urgent()
    } else {
        ctx.db().clone()
    };
    match PresentedToken::parse(bearer) {
        Some(token) if token.kind == TokenKind::Api => {
            authenticate_api_token(ctx, &db, &token, address).await
        }
        Some(_) => Err(WRONG_CREDENTIAL),
        None => authenticate_access_token(ctx, &db, bearer).await,
    }
}
