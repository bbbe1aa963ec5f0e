//! A limit on lookups of invalid tokens. Kept by each node for itself.
//!
//! API tokens and sessions are looked up in the database, so made-up, revoked and ended ones would cost a query each.
//! A network that presents many different invalid API tokens has to wait, except with tokens that were valid here
//! lately: others behind the same address go on working. An invalid token that comes again is refused without a lookup
//! and not counted: a forgotten job must not use up what its neighbours have. Nobody can make up an expired token or one
//! of a session, so those count by themselves.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use super::ServiceError;
use super::login_attempts::network_of;
use super::rate_limit::{RateLimit, RecentKeys, retry_after_s};
use crate::catalog::ids::SessionId;

const PERIOD: Duration = Duration::from_mins(5);
/// A token that was valid is looked up without this limit for so long after its last use.
const TRUSTED_FOR: Duration = Duration::from_hours(24);
/// How long an invalid token is refused without another lookup. A restore may make it valid again.
const INVALID_FOR: Duration = Duration::from_mins(5);

pub struct TokenLookups {
    /// By network.
    invalid: RateLimit,
    ended_sessions: RateLimit,
    expired: RateLimit,
    valid: RecentKeys,
    known_invalid: RecentKeys,
}

/// Whether a token must be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    LookUp,
    KnownInvalid,
}

impl TokenLookups {
    /// Allows so many invalid tokens from one network, and of one session, in five minutes.
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

    /// Admits a lookup, or says how long to wait.
    pub(super) fn admit(
        &self,
        token: impl Hash + Copy,
        source: Option<IpAddr>,
    ) -> Result<Admission, ServiceError> {
        if self.known_invalid.contains(token) {
            return Ok(Admission::KnownInvalid);
        }
        self.expired.probe(token).map_err(refusal)?;
        if let Some(source) = source.filter(|_| !self.valid.contains(token)) {
            self.invalid.probe(network_of(source)).map_err(refusal)?;
        }
        Ok(Admission::LookUp)
    }

    /// Admits the lookup of a session whose token is ours.
    pub(super) fn admit_session(&self, session: SessionId) -> Result<(), ServiceError> {
        self.ended_sessions.probe(session).map_err(refusal)
    }

    /// Notes that a session has ended.
    pub(super) fn refuse_session(&self, session: SessionId) {
        // The next lookup is told to wait.
        let _ = self.ended_sessions.count(session);
    }

    /// Notes that a token is valid.
    pub(super) fn accept(&self, token: impl Hash) {
        self.valid.insert(token);
    }

    /// Notes that a token has expired.
    pub(super) fn refuse_expired(&self, token: impl Hash) {
        // The next lookup is told to wait.
        let _ = self.expired.count(token);
    }

    /// Notes that a token is invalid.
    pub(super) fn refuse(&self, token: impl Hash + Copy, source: Option<IpAddr>) {
        self.valid.remove(token);
        self.known_invalid.insert(token);
        if let Some(source) = source {
            // The next lookup is told to wait.
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

    #[test]
    fn an_ended_session_is_looked_up_a_few_times_only() {
        let lookups = TokenLookups::new(3);
        let (ended, other) = (SessionId::generate(), SessionId::generate());
        for _ in 0..3 {
            assert!(lookups.admit_session(ended).is_ok());
            lookups.refuse_session(ended);
        }
        assert!(lookups.admit_session(ended).is_err());
        assert!(lookups.admit_session(other).is_ok());
    }

    #[test]
    fn a_network_with_many_invalid_tokens_waits_with_unknown_ones_only() {
        let lookups = TokenLookups::new(3);
        let (here, elsewhere) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        lookups.accept("valid");
        for token in ["a", "b", "c"] {
            assert!(lookups.admit(token, here).is_ok());
            lookups.refuse(token, here);
        }
        assert!(lookups.admit("d", here).is_err());
        assert!(lookups.admit("d", elsewhere).is_ok());
        assert!(lookups.admit("valid", here).is_ok());
        lookups.refuse("valid", here);
        assert!(matches!(
            lookups.admit("valid", here),
            Ok(Admission::KnownInvalid)
        ));
        assert!(lookups.admit("d", None).is_ok());
    }

    #[test]
    fn one_invalid_token_uses_up_nothing_of_its_neighbours() {
        let lookups = TokenLookups::new(3);
        let here = Some([192, 0, 2, 1].into());
        for _ in 0..10 {
            if lookups.admit("deleted", here).unwrap() == Admission::LookUp {
                lookups.refuse("deleted", here);
            }
        }
        let mut expired = 0;
        while lookups.admit("expired", here).is_ok() {
            lookups.refuse_expired("expired");
            expired += 1;
        }
        assert_eq!(expired, 3);
        assert!(matches!(lookups.admit("valid", here), Ok(Admission::LookUp)));
    }
}
