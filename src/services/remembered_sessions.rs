//! Sessions that this node verified a short time ago. While the database is unavailable, they authenticate reads of the
//! catalog in memory, and nothing else.
//!
//! A revocation on another node is unknown while the database is unavailable. A session is therefore remembered only
//! for the time after which the catalog is stale, for the same reason.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use slipway_domain::access::Principal;
use slipway_domain::catalog::ids::SessionId;

/// Further sessions are not remembered until earlier ones are forgotten.
const MAX_SESSIONS: usize = 10_000;

pub struct RememberedSessions {
    sessions: Mutex<HashMap<SessionId, RememberedSession>>,
    remembered_for: TimeDelta,
}

struct RememberedSession {
    principal: Principal,
    verified_at: DateTime<Utc>,
}

impl RememberedSessions {
    pub fn new(remembered_for: TimeDelta) -> Self {
        Self {
            sessions: Mutex::default(),
            remembered_for,
        }
    }

    /// Remembers a session that the database has just verified.
    pub(super) fn remember(&self, session: SessionId, principal: &Principal, now: DateTime<Utc>) {
        let mut sessions = self.lock();
        if sessions.len() >= MAX_SESSIONS && !sessions.contains_key(&session) {
            sessions.retain(|_, remembered| now - remembered.verified_at <= self.remembered_for);
            if sessions.len() >= MAX_SESSIONS {
                return;
            }
        }
        let remembered = RememberedSession {
            principal: principal.clone(),
            verified_at: now,
        };
        sessions.insert(session, remembered);
    }

    /// Returns the person of a remembered session.
    pub(super) fn find(&self, session: SessionId, now: DateTime<Utc>) -> Option<Principal> {
        let sessions = self.lock();
        let remembered = sessions.get(&session)?;
        let is_recent = now - remembered.verified_at <= self.remembered_for;
        is_recent.then(|| remembered.principal.clone())
    }

    /// Forgets a session that has ended.
    pub(super) fn forget(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    /// Forgets all sessions, because some of them may end now. The next request remembers the others again.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, RememberedSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use slipway_domain::access::{Credential, Role};
    use slipway_domain::catalog::ids::UserId;

    fn principal(session: SessionId) -> Principal {
        Principal {
            credential: Credential::Session {
                user: random::id::<UserId>(),
                session,
            },
            name: "li.na".to_owned(),
            role: Role::Viewer,
            tenant: None,
        }
    }

    #[test]
    fn a_session_is_remembered_for_a_while_and_forgotten_when_it_ends() {
        let sessions = RememberedSessions::new(TimeDelta::minutes(15));
        let (one, other) = (random::id::<SessionId>(), random::id::<SessionId>());
        let now = DateTime::UNIX_EPOCH;
        sessions.remember(one, &principal(one), now);
        sessions.remember(other, &principal(other), now);
        assert!(sessions.find(one, now + TimeDelta::minutes(15)).is_some());
        assert_eq!(sessions.find(one, now + TimeDelta::minutes(16)), None);
        sessions.forget(one);
        assert_eq!(sessions.find(one, now), None);
        assert!(sessions.find(other, now).is_some());
        sessions.clear();
        assert_eq!(sessions.find(other, now), None);
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = RememberedSessions::new(TimeDelta::minutes(15));
        let now = DateTime::UNIX_EPOCH;
        for _ in 0..MAX_SESSIONS {
            let session = random::id::<SessionId>();
            sessions.remember(session, &principal(session), now);
        }
        let session = random::id::<SessionId>();
        sessions.remember(session, &principal(session), now);
        assert_eq!(sessions.find(session, now), None);
        let later = now + TimeDelta::minutes(16);
        sessions.remember(session, &principal(session), later);
        assert!(sessions.find(session, later).is_some());
        assert_eq!(sessions.lock().len(), 1);
    }
}
