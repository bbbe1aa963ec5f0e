//! Sessions of the console. They are sessions like any other; the browser holds a cookie instead of a token pair.

use super::login::start_session;
use super::refresh::Client;
use super::sessions::authenticate_session;
use crate::secrets::ConsoleToken;
use crate::services::{Context, ServiceError};
use slipway_domain::access::Principal;
use slipway_domain::catalog::ids::SessionId;

const SIGNED_OUT: ServiceError = ServiceError::Unauthenticated("sign in");

/// Verifies a password, starts a session and returns its cookie.
pub async fn open_console(
    ctx: &Context,
    client: Client<'_>,
    username: &str,
    password: String,
) -> Result<String, ServiceError> {
    let (_, session) = start_session(ctx, client, username, password).await?;
    let token = ConsoleToken {
        session: session.id.uuid(),
    };
    Ok(token.text(ctx.keyring()))
}

/// Authenticates a person by the cookie of an active session. A write uses the urgent connections, so that it does not
/// queue for one.
pub async fn authenticate_cookie(
    ctx: &Context,
    is_write: bool,
    cookie: &str,
) -> Result<Principal, ServiceError> {
    let token = ConsoleToken::verify(ctx.keyring(), cookie).ok_or(SIGNED_OUT)?;
    let db = if is_write {
        ctx.db().urgent()
    } else {
        ctx.db().clone()
    };
    let session = SessionId::from_uuid(token.session);
    authenticate_session(ctx, &db, session).await?.ok_or(SIGNED_OUT)
}
