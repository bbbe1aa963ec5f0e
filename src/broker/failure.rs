//! Connection failures, classified for the log and metrics.

use rumqttc::{ConnectReturnCode, ConnectionError, DisconnectReasonCode, StateError};

/// Reason why a connection failed or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionFailure {
    #[error(transparent)]
    Client(ConnectionError),
    #[error("the broker does not answer {0}")]
    Timeout(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// No connection could be made.
    Unreachable,
    Tls,
    /// The broker does not accept the user name or password.
    Unauthorized,
    /// The broker refused or ended the connection for another reason.
    Refused,
    /// The broker did not start the requested session.
    Session,
    /// Another client connected under the same client id.
    TakenOver,
    /// The broker stopped responding.
    Timeout,
    /// The connection broke.
    Lost,
}

impl ConnectionFailure {
    /// Classifies the failure. `was_connected` distinguishes the end of a connection from a failed attempt.
    pub(super) fn kind(&self, was_connected: bool) -> FailureKind {
        let Self::Client(error) = self else {
            return FailureKind::Timeout;
        };
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => FailureKind::Unauthorized,
            ConnectionError::ConnectionRefused(_) => FailureKind::Refused,
            ConnectionError::SessionStateMismatch { .. } => FailureKind::Session,
            ConnectionError::Tls(_) => FailureKind::Tls,
            ConnectionError::Timeout(_)
            | ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => {
                FailureKind::Timeout
            }
            ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => match reason_code
            {
                DisconnectReasonCode::SessionTakenOver => FailureKind::TakenOver,
                DisconnectReasonCode::NotAuthorized => FailureKind::Unauthorized,
                _ => FailureKind::Refused,
            },
            _ if was_connected => FailureKind::Lost,
            _ => FailureKind::Unreachable,
        }
    }

    /// True if the connection task was told to end.
    pub(super) const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Client(ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout)
        )
    }
}

impl FailureKind {
    /// Returns the metric label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::Session => "session",
            Self::TakenOver => "taken_over",
            Self::Timeout => "unanswered",
            Self::Lost => "lost",
        }
    }

    /// Returns advice for an operator.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "check SLIPWAY_MQTT_URL, and that the broker runs and can be reached from here"
            }
            Self::Tls => "check the broker's certificate, and SLIPWAY_MQTT_CA_FILE",
            Self::Unauthorized => {
                "check SLIPWAY_MQTT_USERNAME, SLIPWAY_MQTT_PASSWORD and the broker's access rules"
            }
            Self::Refused => "check the broker's log and limits; it must speak MQTT 5",
            Self::Session => "the next attempt asks for the other kind of session",
            Self::TakenOver => {
                "another process uses the same client id: each node needs a data directory of its own, not a copy; this \
                 node continues under another client id"
            }
            Self::Timeout => "check the broker's load and the network to it",
            Self::Lost => "no action is needed if the connection comes back",
        }
    }
}
