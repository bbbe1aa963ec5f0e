//! Exchange of a refresh token for the next token pair.
//!
//! A refresh token is valid once. Browser tabs share a token, however, and a response may be lost: for 30 seconds the
//! same client gets the same pair again.
//!
//! Any other reuse means that the token was stolen, so its session ends. A token that this installation did not issue
//! ends no session.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::require_enabled_tenant;
use super::sessions::{TokenPair, issue_tokens};
use crate::secrets::RefreshToken;
use crate::services::network::network_of;
use crate::services::{Context, ServiceError};
use crate::storage::sessions::{self, Refresh, Session};
use crate::storage::users;
use slipway_domain::access::User;
use slipway_domain::catalog::ids::SessionId;

/// Time during which the same client gets the same pair again.
const REPEATABLE_FOR: TimeDelta = TimeDelta::seconds(30);
/// Maximum number of recent refreshes stored with a session.
const MAX_RECENT: usize = 16;

const WRONG_REFRESH: ServiceError =
    ServiceError::Unauthenticated("the refresh token is invalid; sign in again");

/// Client that signs in or refreshes.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    pub address: Option<IpAddr>,
    /// `User-Agent` header; empty if absent.
    pub user_agent: &'a str,
}

/// State of a presented refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefreshTokenState {
    Current,
    /// Exchanged at this time, recently and by the same client.
    Repeated(DateTime<Utc>),
    /// Exchanged before.
    Reused,
    /// Newer than the session: the database was restored to an older state.
    Unknown,
}

/// Exchanges a refresh token for a new pair.
pub async fn refresh(ctx: &Context, client: Client<'_>, token: &str) -> Result<TokenPair, ServiceError> {
    let token = RefreshToken::verify(ctx.keyring(), token).ok_or(WRONG_REFRESH)?;
    loop {
        let now = ctx.now();
        let session = find_session(ctx, token, now).await?;
        let user = find_user(ctx, &session).await?;
        let traded_at = match token_state(&session, token.generation, &client.digest(), now) {
            RefreshTokenState::Current if rotate(ctx, &session, client, now).await? => now,
            // Another request with this token was faster: load the session again.
            RefreshTokenState::Current => continue,
            RefreshTokenState::Repeated(at) => at,
            RefreshTokenState::Reused => {
                end(ctx, session.id).await?;
                return Err(WRONG_REFRESH);
            }
            RefreshTokenState::Unknown => return Err(WRONG_REFRESH),
        };
        ctx.authentication()
            .attempts
            .record_sign_in(&user.username, client.address);
        return issue_tokens(ctx, &user, session.id, token.generation + 1, traded_at);
    }
}

/// Finds the session of a verified token.
async fn find_session(
    ctx: &Context,
    token: RefreshToken,
    now: DateTime<Utc>,
) -> Result<Session, ServiceError> {
    let id = SessionId::from_uuid(token.session);
    ctx.authentication().token_lookups.admit_session(id)?;
    let session = sessions::find(ctx.db(), id).await?;
    let Some(session) = session.filter(|session| now < session.expires_at) else {
        ctx.authentication().token_lookups.record_ended_session(id);
        return Err(WRONG_REFRESH);
    };
    Ok(session)
}

async fn find_user(ctx: &Context, session: &Session) -> Result<User, ServiceError> {
    let found = users::find_anywhere(ctx.db(), session.user).await?;
    let user = found.ok_or(WRONG_REFRESH)?.user.value;
    if !user.enabled {
        return Err(WRONG_REFRESH);
    }
    require_enabled_tenant(ctx.db(), user.tenant).await?;
    Ok(user)
}

async fn rotate(
    ctx: &Context,
    session: &Session,
    client: Client<'_>,
    now: DateTime<Utc>,
) -> Result<bool, ServiceError> {
    let mut recent: Vec<_> = session
        .recent_refreshes
        .iter()
        .filter(|refresh| is_recent(refresh, now))
        .cloned()
        .collect();
    recent.push(Refresh {
        generation: session.generation,
        at: now,
        client: client.digest(),
    });
    let recent = &recent[recent.len().saturating_sub(MAX_RECENT)..];
    let tx = ctx.db().begin().await?;
    let rotated = sessions::rotate(&tx, session, recent, client.network().as_deref()).await?;
    if rotated {
        tx.commit().await?;
    }
    Ok(rotated)
}

async fn end(ctx: &Context, session: SessionId) -> Result<(), ServiceError> {
    let tx = ctx.db().begin().await?;
    sessions::delete(&tx, session).await?;
    tx.commit().await?;
    tracing::warn!(session.id = %session, "a refresh token was used twice; its session was ended");
    Ok(())
}

fn token_state(session: &Session, generation: i64, client: &str, now: DateTime<Utc>) -> RefreshTokenState {
    if generation == session.generation {
        return RefreshTokenState::Current;
    }
    if generation > session.generation {
        return RefreshTokenState::Unknown;
    }
    let traded = session
        .recent_refreshes
        .iter()
        .find(|refresh| refresh.generation == generation);
    traded
        .filter(|refresh| refresh.client == client && is_recent(refresh, now))
        .map_or(RefreshTokenState::Reused, |refresh| {
            RefreshTokenState::Repeated(refresh.at)
        })
}

/// Returns `true` if a refresh is recent. The clocks of nodes differ, so the time of another node may be slightly
/// ahead.
fn is_recent(refresh: &Refresh, now: DateTime<Utc>) -> bool {
    (now - refresh.at).abs() <= REPEATABLE_FOR
}

impl Client<'_> {
    /// Returns a digest of the network and the user agent, which identifies a client.
    fn digest(&self) -> String {
        let network = self.network().unwrap_or_default();
        let digest = Sha256::digest(format!("{network}\n{}", self.user_agent));
        hex::encode(&digest[..16])
    }

    pub(super) fn network(&self) -> Option<String> {
        self.address.map(|address| network_of(address).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use slipway_domain::catalog::ids::UserId;

    #[test]
    fn a_traded_token_counts_again_for_its_client_and_a_moment_only() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let session = Session {
            id: random::id::<SessionId>(),
            user: random::id::<UserId>(),
            generation: 3,
            recent_refreshes: vec![Refresh {
                generation: 2,
                at,
                client: "a".to_owned(),
            }],
            network: None,
            created_at: at,
            expires_at: at + TimeDelta::days(1),
        };
        let token_state = |generation, client, seconds| {
            token_state(&session, generation, client, at + TimeDelta::seconds(seconds))
        };
        assert_eq!(token_state(3, "b", 1_000), RefreshTokenState::Current);
        assert_eq!(token_state(2, "a", 30), RefreshTokenState::Repeated(at));
        assert_eq!(token_state(2, "a", -1), RefreshTokenState::Repeated(at));
        assert_eq!(token_state(2, "a", 31), RefreshTokenState::Reused);
        assert_eq!(token_state(2, "b", 0), RefreshTokenState::Reused);
        assert_eq!(token_state(1, "a", 0), RefreshTokenState::Reused);
        assert_eq!(token_state(4, "a", 0), RefreshTokenState::Unknown);
    }

    #[test]
    fn clients_differ_by_network_and_user_agent() {
        let digest = |address: &str, user_agent| {
            let address = Some(address.parse().unwrap());
            Client { address, user_agent }.digest()
        };
        assert_eq!(digest("2001:db8::1", "x"), digest("2001:db8::2", "x"));
        assert_ne!(digest("192.0.2.1", "x"), digest("192.0.2.2", "x"));
        assert_ne!(digest("192.0.2.1", "x"), digest("192.0.2.1", "y"));
    }
}
