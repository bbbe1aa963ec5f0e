//! Rate limit on lookups of invalid tokens. Each node counts separately.
//!
//! API tokens and sessions are looked up in the database, so every invalid token would cost a query.
//!
//! A network that presents many different invalid API tokens must wait. Tokens that were recently valid on this node
//! are exempt, so that other clients behind the same address keep working.
//!
//! A repeated invalid token is refused without a lookup and not counted. A forgotten job must not use up the limit of
//! its neighbours.
//!
//! Expired tokens and session tokens cannot be forged, so they are counted separately.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use super::ServiceError;
use super::network::network_of;
use super::rate_limit::{RateLimit, RecentKeys, retry_after_s};
use slipway_domain::catalog::ids::SessionId;

const PERIOD: Duration = Duration::from_mins(5);
/// Time after its last use during which a valid token is exempt from the limit.
const TRUSTED_FOR: Duration = Duration::from_hours(24);
/// Time during which an invalid token is refused without another lookup. A restore may make it valid again.
const INVALID_FOR: Duration = Duration::from_mins(5);

pub struct TokenLookups {
    /// Keyed by network.
    invalid: RateLimit,
    ended_sessions: RateLimit,
    expired: RateLimit,
    valid: RecentKeys,
    known_invalid: RecentKeys,
}

/// Decision on a token before its lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupDecision {
    LookUp,
    KnownInvalid,
}

impl TokenLookups {
    /// Allows `invalid_per_source` invalid tokens per network, and as many lookups per ended session or expired token,
    /// in five minutes.
    pub fn new(invalid_per_source: u32) -> Self {
        let limit = |name| RateLimit::in_period(name, invalid_per_source, PERIOD);
        Self {
            invalid: limit("invalid_tokens"),
            ended_sessions: limit("ended_sessions"),
            expired: limit("expired_tokens"),
            valid: RecentKeys::new(TRUSTED_FOR),
            known_invalid: RecentKeys::new(INVALID_FOR),
        }
    }

    /// Admits a lookup. The error contains the wait.
    pub(super) fn admit(
        &self,
        token: impl Hash + Copy,
        source: Option<IpAddr>,
    ) -> Result<LookupDecision, ServiceError> {
        if self.known_invalid.contains(token) {
            return Ok(LookupDecision::KnownInvalid);
        }
        self.expired.probe(token).map_err(refusal)?;
        if let Some(source) = source.filter(|_| !self.valid.contains(token)) {
            self.invalid.probe(network_of(source)).map_err(refusal)?;
        }
        Ok(LookupDecision::LookUp)
    }

    /// Admits the lookup of a session with a valid access token.
    pub(super) fn admit_session(&self, session: SessionId) -> Result<(), ServiceError> {
        self.ended_sessions.probe(session).map_err(refusal)
    }

    /// Records that a session has ended.
    pub(super) fn record_ended_session(&self, session: SessionId) {
        // An exceeded limit refuses the next lookup.
        let _ = self.ended_sessions.count(session);
    }

    /// Records that a token is valid.
    pub(super) fn record_valid(&self, token: impl Hash) {
        self.valid.insert(token);
    }

    /// Records that a token has expired.
    pub(super) fn record_expired(&self, token: impl Hash) {
        // An exceeded limit refuses the next lookup.
        let _ = self.expired.count(token);
    }

    /// Records that a token is invalid.
    pub(super) fn record_invalid(&self, token: impl Hash + Copy, source: Option<IpAddr>) {
        self.valid.remove(token);
        self.known_invalid.insert(token);
        if let Some(source) = source {
            // An exceeded limit refuses the next lookup.
            let _ = self.invalid.count(network_of(source));
        }
    }
}

fn refusal(wait: Duration) -> ServiceError {
    ServiceError::RateLimited {
        what: "too many invalid tokens were presented",
        retry_after_s: retry_after_s(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn an_ended_session_is_looked_up_a_few_times_only() {
        let lookups = TokenLookups::new(3);
        let (ended, other) = (random::id::<SessionId>(), random::id::<SessionId>());
        for _ in 0..3 {
            assert!(lookups.admit_session(ended).is_ok());
            lookups.record_ended_session(ended);
        }
        assert!(lookups.admit_session(ended).is_err());
        assert!(lookups.admit_session(other).is_ok());
    }

    #[test]
    fn a_network_with_many_invalid_tokens_waits_with_unknown_ones_only() {
        let lookups = TokenLookups::new(3);
        let (here, elsewhere) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        lookups.record_valid("valid");
        for token in ["a", "b", "c"] {
            assert!(lookups.admit(token, here).is_ok());
            lookups.record_invalid(token, here);
        }
        assert!(lookups.admit("d", here).is_err());
        assert!(lookups.admit("d", elsewhere).is_ok());
        assert!(lookups.admit("valid", here).is_ok());
        lookups.record_invalid("valid", here);
        assert!(matches!(
            lookups.admit("valid", here),
            Ok(LookupDecision::KnownInvalid)
        ));
        assert!(lookups.admit("d", None).is_ok());
    }

    #[test]
    fn one_invalid_token_uses_up_nothing_of_its_neighbours() {
        let lookups = TokenLookups::new(3);
        let here = Some([192, 0, 2, 1].into());
        for _ in 0..10 {
            if lookups.admit("deleted", here).unwrap() == LookupDecision::LookUp {
                lookups.record_invalid("deleted", here);
            }
        }
        let mut expired = 0;
        while lookups.admit("expired", here).is_ok() {
            lookups.record_expired("expired");
            expired += 1;
        }
        assert_eq!(expired, 3);
        assert!(matches!(lookups.admit("valid", here), Ok(LookupDecision::LookUp)));
    }
}
