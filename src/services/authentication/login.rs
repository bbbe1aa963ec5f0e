//! Login of people with a username and a password.

use chrono::TimeDelta;

use super::failed_login_audit;
use super::login_limits::count_login_attempt;
use super::refresh::Client;
use super::require_enabled_tenant;
use super::sessions::{TokenPair, issue_tokens};
use crate::random;
use crate::secrets::{PasswordHash, verify_dummy, verify_password};
use crate::services::login_failures::LoginFailure;
use crate::services::{Context, ServiceError};
use crate::storage::sessions::{self, Session};
use crate::storage::users::{self, UserWithPassword};
use slipway_domain::access::User;
use slipway_domain::catalog::ids::SessionId;
use slipway_domain::catalog::text::Username;

/// Time from the login to the end of a session, regardless of refreshes.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);

/// Generation of a session's first refresh token.
const FIRST_GENERATION: i64 = 1;

const WRONG_LOGIN: ServiceError = ServiceError::Unauthenticated("the username or the password is wrong");

/// Verifies a password, starts a session and returns its tokens.
pub async fn login(
    ctx: &Context,
    client: Client<'_>,
    username: &str,
    password: String,
) -> Result<TokenPair, ServiceError> {
    let (user, session) = start_session(ctx, client, username, password).await?;
    issue_tokens(ctx, &user, session.id, session.generation, session.created_at)
}

/// Verifies a password and starts a session. An unknown username and a wrong password take equally long and give the
/// same error.
pub(super) async fn start_session(
    ctx: &Context,
    client: Client<'_>,
    username: &str,
    password: String,
) -> Result<(User, Session), ServiceError> {
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
    let user = found.user.value;
    let is_right = verify_password(password, PasswordHash::from_stored(found.password_hash)).await;
    if !is_right || !user.enabled {
        let reason = if is_right {
            "disabled_account"
        } else {
            "wrong_password"
        };
        return Err(fail(Some(&user), reason).await);
    }
    require_enabled_tenant(ctx.db(), user.tenant).await?;
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
    let session = Session {
        id: random::id::<SessionId>(),
        user: user.id,
        generation: FIRST_GENERATION,
        recent_refreshes: Vec::new(),
        network: client.network(),
        created_at: now,
        expires_at: now + SESSION_LIFETIME,
    };
    sessions::insert(&tx, session.clone()).await?;
    tx.commit().await?;
    ctx.authentication()
        .attempts
        .record_sign_in(&user.username, client.address);
    Ok((user, session))
}

/// Finds a user. Text that is not a valid username matches no user.
async fn find_user(ctx: &Context, username: &str) -> Result<Option<UserWithPassword>, ServiceError> {
    match Username::parse(username) {
        Ok(username) => Ok(users::find_anywhere_by_username(ctx.db(), &username).await?),
        Err(_) => Ok(None),
    }
}
