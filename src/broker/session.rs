//! The MQTT session at the broker and its state in the client library.
//!
//! The broker keeps this node's subscription and undelivered messages across connections and restarts. The node keeps
//! no session state: published pushes are in the database, and the broker sends unacknowledged messages again. The
//! library uses a resumed session only if it has a stored state for it. Without one it accepts the connection, and then
//! rejects every subscription and publish. Therefore it gets an empty state before each connection.

use futures_util::future::BoxFuture;
use rumqttc::{
    AckMode, EventLoop, MqttOptions, PersistedAckMode, PersistedSession, SessionStore, SessionStoreError,
    SessionStoreKey,
};

use super::SESSION_S;

type Stored<'a, T> = BoxFuture<'a, Result<T, SessionStoreError>>;

/// A session store that always loads an empty state and saves nothing.
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

/// Session mode of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// Resumes the session that the broker kept, if any.
    Resume,
    /// Starts a new session.
    Restart,
    /// Starts a new session that ends with the connection.
    Discard,
}

/// Prepares connection `number`. The library forgets the previous connection.
pub(super) fn prepare(events: &mut EventLoop, number: u64, session: Session) {
    let options = &mut events.options;
    options.set_clean_start(session != Session::Resume);
    let kept_s = if session == Session::Discard { 0 } else { SESSION_S };
    options.set_session_expiry_interval(Some(kept_s));
    // With a new scope the library drops its state and loads that of the store.
    options.set_session_store_scope(number.to_string());
    let session = EmptySession::new(options);
    options.set_session_store(session);
}

/// Removes the store after the connect, so that the library builds no checkpoints, which would not be saved.
pub(super) fn stop_saving(events: &mut EventLoop) {
    events.options.clear_session_store();
}
