//! Signing in: a short access token and a rotating refresh token, both bound to a session that can be ended.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::{Caller, Context, ServiceError};
use crate::access::{Credential, Principal, User, has_expired};
use crate::catalog::ids::{KeyId, SessionId, TenantId};
use crate::catalog::text::Username;
use crate::secrets::{
    AccessClaims, NewToken, PasswordHash, PresentedToken, TokenKind, secret_matches, verify_password,
    verify_unknown,
};
use crate::storage::key_uses::KeyRef;
use crate::storage::sessions::Session;
use crate::storage::users::UserWithPassword;
use crate::storage::{api_tokens, sessions, tenants, users};

/// A session ends so long after its login, however often it is refreshed.
const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);

const WRONG_LOGIN: ServiceError = ServiceError::Unauthenticated("the username or the password is wrong");
const WRONG_REFRESH: ServiceError =
    ServiceError::Unauthenticated("the refresh token is not valid (any more); sign in again");
const WRONG_CREDENTIAL: ServiceError = ServiceError::Unauthenticated(
    "send a valid access token or API token as Authorization: Bearer …; an access token that expired can be refreshed",
);
const EXPIRED_TOKEN: ServiceError =
    ServiceError::Unauthenticated("this API token has expired; ask an administrator for another");

/// What a client gets for signing in or refreshing.
pub struct SignedIn {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

/// Checks a password and begins a session. Wrong name and wrong password take as long and look alike.
pub async fn login(
    ctx: &Context,
    address: Option<IpAddr>,
    username: &str,
    password: String,
) -> Result<SignedIn, ServiceError> {
    let username = username.to_lowercase();
    ctx.login_attempts.count(&username, address)?;
    let Some(found) = find_user(ctx, &username).await? else {
        verify_unknown(password).await;
        return Err(WRONG_LOGIN);
    };
    let user = &found.user.value;
    let is_right = verify_password(password, PasswordHash::from_stored(found.password_hash)).await;
    if !is_right || !user.enabled {
        return Err(WRONG_LOGIN);
    }
    refuse_disabled_tenant(ctx, user.tenant).await?;
    let session = SessionId::generate();
    let refresh = NewToken::generate(TokenKind::Refresh, session.uuid());
    let now = ctx.now();
    let tx = ctx.db.begin().await?;
    // Hashing took a while: whoever changed the password or the person meanwhile has ended all sessions, and this one
    // must not slip in behind.
    let unchanged = users::lock(&tx, user.id)
        .await?
        .is_some_and(|now| now.etag == found.user.etag);
    if !unchanged {
        return Err(WRONG_LOGIN);
    }
    let row = Session {
        id: session,
        user: user.id,
        refresh_hash: refresh.secret_hash.clone(),
        created_at: now,
        expires_at: now + SESSION_LIFETIME,
    };
    sessions::insert(&tx, row).await?;
    tx.commit().await?;
    signed_in(ctx, user, session, refresh)
}

/// A text that cannot be a username is nobody's.
async fn find_user(ctx: &Context, username: &str) -> Result<Option<UserWithPassword>, ServiceError> {
    match Username::parse(username) {
        Ok(username) => Ok(users::find_anywhere_by_username(&ctx.db, &username).await?),
        Err(_) => Ok(None),
    }
}

/// Trades a refresh token for a new pair. A token that was traded before has been stolen: its session ends.
pub async fn refresh(
    ctx: &Context,
    address: Option<IpAddr>,
    refresh_token: &str,
) -> Result<SignedIn, ServiceError> {
    ctx.login_attempts.count_source(address)?;
    let presented = PresentedToken::parse(refresh_token)
        .filter(|token| token.kind == TokenKind::Refresh)
        .ok_or(WRONG_REFRESH)?;
    let id = SessionId::from_uuid(presented.id);
    let now = ctx.now();
    // Looked up before anything is written, so that made-up tokens take no writer's turn.
    let session = sessions::find(&ctx.db, id)
        .await?
        .filter(|session| now < session.expires_at);
    let session = session.ok_or(WRONG_REFRESH)?;
    let user = users::find_anywhere(&ctx.db, session.user)
        .await?
        .ok_or(WRONG_REFRESH)?
        .user
        .value;
    if !user.enabled {
        return Err(WRONG_REFRESH);
    }
    refuse_disabled_tenant(ctx, user.tenant).await?;
    let next = NewToken::generate(TokenKind::Refresh, id.uuid());
    let (shown, new) = (&session.refresh_hash, &next.secret_hash);
    let tx = ctx.db.begin().await?;
    let is_current = secret_matches(&presented, shown)
        && sessions::rotate(&tx, id, shown, new, session.expires_at).await?;
    if !is_current {
        sessions::delete(&tx, id).await?;
        tx.commit().await?;
        tracing::warn!(session.id = %id, "a refresh token was used twice; its session was ended");
        return Err(WRONG_REFRESH);
    }
    tx.commit().await?;
    signed_in(ctx, &user, id, next)
}

/// Ends the caller's session; an API token has none.
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

/// Who presents this bearer token.
pub async fn authenticate(ctx: &Context, bearer: Option<&str>) -> Result<Principal, ServiceError> {
    let bearer = bearer.ok_or(WRONG_CREDENTIAL)?;
    let principal = match PresentedToken::parse(bearer) {
        Some(token) if token.kind == TokenKind::Api => by_api_token(ctx, &token).await?,
        Some(_) => return Err(WRONG_CREDENTIAL),
        None => by_access_token(ctx, bearer).await?,
    };
    refuse_disabled_tenant(ctx, principal.tenant).await?;
    Ok(principal)
}

async fn by_api_token(ctx: &Context, presented: &PresentedToken) -> Result<Principal, ServiceError> {
    let (tenant, token) = api_tokens::find_anywhere_by_secret_hash(&ctx.db, &presented.secret_hash())
        .await?
        .filter(|(_, token)| token.value.id == KeyId::from_uuid(presented.id))
        .ok_or(WRONG_CREDENTIAL)?;
    let now = ctx.now();
    if has_expired(token.value.facts.expires_at, now) {
        return Err(EXPIRED_TOKEN);
    }
    let id = token.value.id;
    let key = tenant.map_or(KeyRef::PlatformToken(id), |tenant| KeyRef::ApiToken(tenant, id));
    ctx.key_uses.note(key, now);

    Ok(Principal {
        credential: Credential::ApiToken(token.value.id),
        name: token.value.name.into_string(),
        role: token.value.role,
        tenant,
    })
}

async fn by_access_token(ctx: &Context, token: &str) -> Result<Principal, ServiceError> {
    let now = ctx.now();
    let claims = ctx.access_tokens.verify(token, now).ok_or(WRONG_CREDENTIAL)?;
    // The token is good; whether its session still lives only the database knows.
    let session = sessions::find(&ctx.db, claims.session).await?;
    session
        .filter(|session| session.user == claims.user && now < session.expires_at)
        .ok_or(WRONG_CREDENTIAL)?;
    let user = users::find_anywhere(&ctx.db, claims.user)
        .await?
        .ok_or(WRONG_CREDENTIAL)?
        .user
        .value;
    if !user.enabled {
        return Err(WRONG_CREDENTIAL);
    }
    Ok(Principal {
        credential: Credential::Session {
            user: user.id,
            session: claims.session,
        },
        name: user.username.into_string(),
        role: user.role,
        tenant: user.tenant,
    })
}

async fn refuse_disabled_tenant(ctx: &Context, tenant: Option<TenantId>) -> Result<(), ServiceError> {
    let Some(tenant) = tenant else {
        return Ok(());
    };
    match tenants::find(&ctx.db, tenant).await? {
        Some(found) if found.value.enabled => Ok(()),
        _ => Err(ServiceError::tenant_disabled()),
    }
}

fn signed_in(
    ctx: &Context,
    user: &User,
    session: SessionId,
    refresh: NewToken,
) -> Result<SignedIn, ServiceError> {
    let claims = AccessClaims {
        user: user.id,
        session,
    };
    let access_token = ctx.access_tokens.issue(claims, ctx.now()).ok_or_else(|| {
        ServiceError::internal(std::io::Error::other("an access token could not be signed"))
    })?;
    Ok(SignedIn {
        access_token,
        refresh_token: refresh.text,
        expires_in: ctx.access_tokens.lifetime().num_seconds(),
    })
}
