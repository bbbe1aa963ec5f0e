//! Sessions of people: a short-lived access token and a rotating refresh token. Both are bound to a session that can be
//! ended.

use chrono::{DateTime, Utc};

use super::WRONG_CREDENTIAL;
use crate::secrets::{AccessClaims, RefreshToken};
use crate::services::{Caller, Context, ServiceError};
use crate::storage::callers::{self, SessionCaller};
use crate::storage::{Db, sessions};
use slipway_domain::access::{Credential, Principal, User};
use slipway_domain::catalog::ids::SessionId;

/// Tokens issued by a login or a refresh.
pub struct TokenPair {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

/// Ends the caller's session. An API token has none.
pub async fn logout(ctx: &Context, caller: &Caller) -> Result<(), ServiceError> {
    let Credential::Session { session, .. } = caller.principal.credential else {
        return Err(ServiceError::PermissionDenied(
            "an API token has no session to end; delete the token instead".to_owned(),
        ));
    };
    let tx = ctx.begin_on_credentials(caller, None).await?;
    sessions::delete(&tx, session).await?;
    tx.commit().await?;
    Ok(())
}

/// Authenticates a person by the access token of an active session.
pub(super) async fn authenticate_access_token(
    ctx: &Context,
    db: &Db,
    token: &str,
) -> Result<Principal, ServiceError> {
    let claims = ctx
        .authentication()
        .access_tokens
        .verify(token, ctx.now())
        .ok_or(WRONG_CREDENTIAL)?;
    let principal = authenticate_session(ctx, db, claims.session).await?;
    let principal = principal.filter(|principal| principal.user() == Some(claims.user));
    principal.ok_or(WRONG_CREDENTIAL)
}

/// Returns the person of an active session; `None` if it has ended. Neither a token nor a cookie shows that.
pub(super) async fn authenticate_session(
    ctx: &Context,
    db: &Db,
    session: SessionId,
) -> Result<Option<Principal>, ServiceError> {
    let lookups = &ctx.authentication().token_lookups;
    lookups.admit_session(session)?;
    let Some(caller) = find_caller(ctx, db, session).await? else {
        lookups.record_ended_session(session);
        return Ok(None);
    };
    if !caller.has_enabled_tenant {
        return Err(ServiceError::tenant_disabled());
    }
    Ok(Some(principal_of(caller.user, session)))
}

/// Returns a person with an active session.
pub(super) fn principal_of(user: User, session: SessionId) -> Principal {
    Principal {
        credential: Credential::Session {
            user: user.id,
            session,
        },
        name: user.username.into_string(),
        role: user.role,
        tenant: user.tenant,
    }
}

/// Returns the enabled user of an active session.
async fn find_caller(
    ctx: &Context,
    db: &Db,
    session: SessionId,
) -> Result<Option<SessionCaller>, ServiceError> {
    let now = ctx.now();
    let found = callers::find_by_session(db, session).await?;
    Ok(found.filter(|SessionCaller { session, user, .. }| now < session.expires_at && user.enabled))
}

/// Returns the token pair of a session for an instant. The result is the same at any time and on any node.
pub(super) fn issue_tokens(
    ctx: &Context,
    user: &User,
    session: SessionId,
    generation: i64,
    at: DateTime<Utc>,
) -> Result<TokenPair, ServiceError> {
    let claims = AccessClaims {
        user: user.id,
        session,
    };
    let access_token = ctx
        .authentication()
        .access_tokens
        .issue(claims, at)
        .ok_or_else(|| {
            ServiceError::internal(std::io::Error::other("an access token could not be signed"))
        })?;
    let refresh_token = RefreshToken {
        session: session.uuid(),
        generation,
    };
    let expires_at = at + ctx.authentication().access_tokens.lifetime();
    Ok(TokenPair {
        access_token,
        refresh_token: refresh_token.text(ctx.keyring()),
        expires_in: (expires_at.timestamp() - ctx.now().timestamp()).max(0),
    })
}
