//! Sessions: a short-lived access token and a rotating refresh token. Both are bound to a session that can be ended.

mod refresh;

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::refresh::{Client, refresh};
use super::login_failures::LoginFailure;
use super::login_limits::count_login_attempt;
use super::token_lookups::LookupDecision;
use super::{Caller, Context, ServiceError, failed_login_audit};
use crate::random;
use crate::secrets::{
    AccessClaims, PasswordHash, PresentedToken, RefreshToken, TokenKind, verify_dummy, verify_password,
};
use crate::storage::key_uses::KeyRef;
use crate::storage::sessions::Session;
use crate::storage::users::UserWithPassword;
use crate::storage::{Db, api_tokens, sessions, tenants, users};
use slipway_domain::access::{Credential, Principal, User, has_expired};
use slipway_domain::catalog::ids::{KeyId, SessionId, TenantId};
use slipway_domain::catalog::text::Username;

/// Time from the login to the end of a session, regardless of refreshes.
const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);

/// Generation of a session's first refresh token.
const FIRST_GENERATION: i64 = 1;

const WRONG_LOGIN: ServiceError = ServiceError::Unauthenticated("the username or the password is wrong");
const WRONG_CREDENTIAL: ServiceError = ServiceError::Unauthenticated(
    "send a valid access token or API token as Authorization: Bearer …; an access token that expired can be refreshed",
);
const EXPIRED_TOKEN: ServiceError =
    ServiceError::Unauthenticated("this API token has expired; ask an administrator for a new one");

/// Tokens issued by a login or a refresh.
pub struct TokenPair {
    pub access_token: String,
    pub refresh_token: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

/// Verifies a password and starts a session. An unknown username and a wrong password take equally long and give the
/// same error.
pub async fn login(
    ctx: &Context,
    client: Client<'_>,
    username: &str,
    password: String,
) -> Result<TokenPair, ServiceError> {
    let given = username;
    let fail = async |user: Option<&User>, reason: &'static str| {
        let failure = LoginFailure {
            given,
            user,
            address: client.address,
            reason,
        };
        failed_login_audit::record(ctx, failure).await;
        WRONG_LOGIN
    };
    let username = username.to_lowercase();
    count_login_attempt(ctx, &username, client.address).await?;
    let Some(found) = find_user(ctx, &username).await? else {
        verify_dummy(password).await;
        return Err(fail(None, "unknown_account").await);
    };
    let user = &found.user.value;
    let is_right = verify_password(password, PasswordHash::from_stored(found.password_hash)).await;
    if !is_right || !user.enabled {
        let reason = if is_right {
            "disabled_account"
        } else {
            "wrong_password"
        };
        return Err(fail(Some(user), reason).await);
    }
    require_enabled_tenant(ctx.db(), user.tenant).await?;
    let session = random::id::<SessionId>();
    let now = ctx.now();
    let tx = ctx.db().begin().await?;
    // The user may have changed while the password was hashed. Such a change ends all sessions, so this session must
    // not start.
    let unchanged = users::lock(&tx, user.id)
        .await?
        .is_some_and(|now| now.etag == found.user.etag);
    if !unchanged {
        return Err(WRONG_LOGIN);
    }
    let row = Session {
        id: session,
        user: user.id,
        generation: FIRST_GENERATION,
        recent_refreshes: Vec::new(),
        network: client.network(),
        created_at: now,
        expires_at: now + SESSION_LIFETIME,
    };
    sessions::insert(&tx, row).await?;
    tx.commit().await?;
    ctx.authentication()
        .attempts
        .record_sign_in(&user.username, client.address);
    issue_tokens(ctx, user, (session, FIRST_GENERATION), now)
}

/// Finds a user. Text that is not a valid username matches no user.
async fn find_user(ctx: &Context, username: &str) -> Result<Option<UserWithPassword>, ServiceError> {
    match Username::parse(username) {
        Ok(username) => Ok(users::find_anywhere_by_username(ctx.db(), &username).await?),
        Err(_) => Ok(None),
    }
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

/// Authenticates a bearer token. A write uses the urgent connections, so that it does not queue for one.
pub async fn authenticate(
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
    let principal = match PresentedToken::parse(bearer) {
        Some(token) if token.kind == TokenKind::Api => {
            authenticate_api_token(ctx, &db, &token, address).await?
        }
        Some(_) => return Err(WRONG_CREDENTIAL),
        None => authenticate_access_token(ctx, &db, bearer).await?,
    };
    require_enabled_tenant(&db, principal.tenant).await?;
    Ok(principal)
}

async fn authenticate_api_token(
    ctx: &Context,
    db: &Db,
    presented: &PresentedToken,
    address: Option<IpAddr>,
) -> Result<Principal, ServiceError> {
    let hash = presented.secret_hash();
    if ctx.authentication().token_lookups.admit(hash.as_str(), address)? == LookupDecision::KnownInvalid {
        return Err(WRONG_CREDENTIAL);
    }
    let found = api_tokens::find_anywhere_by_secret_hash(db, &hash).await?;
    let found = found.filter(|(_, token)| token.value.id == KeyId::from_uuid(presented.id));
    let Some((tenant, token)) = found else {
        ctx.authentication()
            .token_lookups
            .record_invalid(hash.as_str(), address);
        return Err(WRONG_CREDENTIAL);
    };
    let now = ctx.now();
    if has_expired(token.value.facts.expires_at, now) {
        ctx.authentication().token_lookups.record_expired(hash.as_str());
        return Err(EXPIRED_TOKEN);
    }
    ctx.authentication().token_lookups.record_valid(hash.as_str());
    let id = token.value.id;
    let key = tenant.map_or(KeyRef::PlatformToken(id), |tenant| KeyRef::ApiToken(tenant, id));
    ctx.authentication().key_uses.record(key, now);

    Ok(Principal {
        credential: Credential::ApiToken(token.value.id),
        name: token.value.name.into_string(),
        role: token.value.role,
        tenant,
    })
}

async fn authenticate_access_token(ctx: &Context, db: &Db, token: &str) -> Result<Principal, ServiceError> {
    let claims = ctx
        .authentication()
        .access_tokens
        .verify(token, ctx.now())
        .ok_or(WRONG_CREDENTIAL)?;
    ctx.authentication().token_lookups.admit_session(claims.session)?;
    let Some(user) = find_user_of_session(ctx, db, claims).await? else {
        ctx.authentication()
            .token_lookups
            .record_ended_session(claims.session);
        return Err(WRONG_CREDENTIAL);
    };
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

/// Returns the user of an active session. The access token does not show whether its session has ended.
async fn find_user_of_session(
    ctx: &Context,
    db: &Db,
    claims: AccessClaims,
) -> Result<Option<User>, ServiceError> {
    let now = ctx.now();
    let session = sessions::find(db, claims.session).await?;
    if !session.is_some_and(|session| session.user == claims.user && now < session.expires_at) {
        return Ok(None);
    }
    let user = users::find_anywhere(db, claims.user).await?;
    Ok(user.map(|found| found.user.value).filter(|user| user.enabled))
}

async fn require_enabled_tenant(db: &Db, tenant: Option<TenantId>) -> Result<(), ServiceError> {
    let Some(tenant) = tenant else {
        return Ok(());
    };
    match tenants::find(db, tenant).await? {
        Some(found) if found.value.enabled => Ok(()),
        _ => Err(ServiceError::tenant_disabled()),
    }
}

/// Returns the token pair of a session for an instant. The result is the same at any time and on any node.
fn issue_tokens(
    ctx: &Context,
    user: &User,
    (session, generation): (SessionId, i64),
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
