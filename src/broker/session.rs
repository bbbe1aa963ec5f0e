//! The session at the broker, as the client library sees it.
//!
//! The broker keeps this node's subscription and undelivered messages across connections and restarts. The node keeps
//! nothing: the database has what was published, and the broker sends again what was not confirmed. The library uses a
//! resumed session only if it has a state of its own for it; without one it accepts the connection, and then rejects
//! every subscription and publish. So it gets an empty state before each connection.

use futures_util::future::BoxFuture;
use rumqttc::{
    AckMode, EventLoop, MqttOptions, PersistedAckMode, PersistedSession, SessionStore, SessionStoreError,
    SessionStoreKey,
};

use super::SESSION_S;

type Stored<'a, T> = BoxFuture<'a, Result<T, SessionStoreError>>;

/// A store that always has an empty state, and saves nothing.
#[derive(Debug)]
struct EmptySession(PersistedSession);

impl EmptySession {
    fn new(options: &MqttOptions) -> Self {
        Self(PersistedSession {
            format_version: 1,
            client_id: options.client_id(),
            clean_start: options.clean_start(),
            session_expiry_interval: options.session_expiry_interval(),
            outgoing_inflight_upper_limit: options.get_outgoing_inflight_upper_limit(),
            ack_mode: match options.ack_mode() {
                AckMode::Automatic => PersistedAckMode::Automatic,
                AckMode::Manual => PersistedAckMode::Manual,
            },
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        })
    }
}

impl SessionStore for EmptySession {
    fn load<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// The session of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// The one that the broker kept, if there is one.
    Resume,
    /// A new one.
    Restart,
    /// A new one that ends with the connection.
    Discard,
}

/// Prepares the next connection, which is the `number`th: the library forgets the one before.
pub(super) fn prepare(events: &mut EventLoop, number: u64, session: Session) {
    let options = &mut events.options;
    options.set_clean_start(session != Session::Resume);
    let kept_s = if session == Session::Discard { 0 } else { SESSION_S };
    options.set_session_expiry_interval(Some(kept_s));
    // With another scope the library drops its state, and loads the one of the store.
    options.set_session_store_scope(number.to_string());
    let session = EmptySession::new(options);
    options.set_session_store(session);
}

/// Once connected, the library need not build checkpoints that nobody stores.
pub(super) fn stop_saving(events: &mut EventLoop) {
    events.options.clear_session_store();
}
