//! The subscription of a connection. It is requested on each connection, because the broker may not have kept the
//! session.

use rumqttc::{QoS, SubAck, SubscribeReasonCode};
use tokio::time::{Instant, sleep_until};

use super::{Broker, Timing};
use crate::timer;

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Subscription {
    /// There is no connection.
    #[default]
    None,
    Requested {
        at: Instant,
    },
    Granted,
    Refused {
        at: Instant,
    },
}

/// The next action for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscriptionAction {
    /// End the connection, because the broker did not answer.
    GiveUp,
    /// Subscribe again.
    Request,
}

impl Subscription {
    /// Subscribes to the node's topic filter.
    pub(super) fn request(&mut self, broker: &Broker) {
        let filter = broker.filter.as_str();
        if let Err(error) = broker.client.try_subscribe(filter, QoS::AtLeastOnce) {
            // The connection ends when the answer times out.
            tracing::error!(%error, filter, "cannot subscribe at the MQTT broker");
        }
        *self = Self::Requested {
            at: timer::runtime_now(),
        };
    }

    /// Records the broker's answer. Returns `true` if the subscription was granted.
    pub(super) fn answered(&mut self, answer: &SubAck) -> bool {
        let is_success = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
        let is_granted = answer.return_codes.iter().all(is_success);
        *self = if is_granted {
            Self::Granted
        } else {
            Self::Refused {
                at: timer::runtime_now(),
            }
        };
        is_granted
    }

    /// Waits until an action is due, possibly forever.
    pub(super) async fn next_action(self, timing: &Timing) -> SubscriptionAction {
        let (at, action) = match self {
            Self::None | Self::Granted => std::future::pending().await,
            Self::Requested { at } => (at + timing.subscribed_within, SubscriptionAction::GiveUp),
            Self::Refused { at } => (at + timing.subscribe_again_after, SubscriptionAction::Request),
        };
        sleep_until(at).await;
        action
    }
}
