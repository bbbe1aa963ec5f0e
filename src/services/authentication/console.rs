//! Sessions of the console. They are sessions like any other; the browser holds a cookie instead of a token pair.

use super::login::start_session;
use super::refresh::Client;
use super::sessions::{authenticate_session, principal_of};
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
    let (user, session) = start_session(ctx, client, username, password).await?;
    let principal = principal_of(user, session.id);
    let remembered = &ctx.authentication().remembered_sessions;
    remembered.remember(session.id, &principal, ctx.now());
    let token = ConsoleToken {
        session: session.id.uuid(),
    };
    Ok(token.text(ctx.keyring()))
}

/// Person who presented a cookie.
pub struct ConsolePrincipal {
    pub principal: Principal,
    /// Failure of the database, so that this node remembers the session. The person may then only read the memory of this
    /// node.
    pub database_failure: Option<ServiceError>,
}

/// Authenticates a person by the cookie of an active session. A write uses the urgent connections, so that it does not
/// queue for one.
pub async fn authenticate_cookie(
    ctx: &Context,
    is_write: bool,
    cookie: &str,
) -> Result<ConsolePrincipal, ServiceError> {
    let token = ConsoleToken::verify(ctx.keyring(), cookie).ok_or(SIGNED_OUT)?;
    let db = if is_write {
        ctx.db().urgent()
    } else {
        ctx.db().clone()
    };
    let session = SessionId::from_uuid(token.session);
    let remembered = &ctx.authentication().remembered_sessions;
    match authenticate_session(ctx, &db, session).await {
        Ok(Some(principal)) => {
            remembered.remember(session, &principal, ctx.now());
            Ok(ConsolePrincipal {
                principal,
                database_failure: None,
            })
        }
        Ok(None) => {
            remembered.forget(session);
            Err(SIGNED_OUT)
        }
        Err(error) if error.is_transient() => match remembered.find(session, ctx.now()) {
            Some(principal) => Ok(ConsolePrincipal {
                principal,
                database_failure: Some(error),
            }),
            None => Err(error),
        },
        Err(error) => {
            remembered.forget(session);
            Err(error)
        }
    }
}
