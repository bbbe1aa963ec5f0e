//! The subscription of a connection: made each time, since the broker may not have kept the session.

use rumqttc::{QoS, SubAck, SubscribeReasonCode};
use tokio::time::{Instant, sleep_until};

use super::{Broker, Timing};

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

/// What is to be done about a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The broker did not answer: the connection is of no use.
    GiveUp,
    /// Subscribe again.
    Request,
}

impl Subscription {
    /// Asks the broker for the node's messages.
    pub(super) fn request(&mut self, broker: &Broker) {
        let filter = broker.filter.as_str();
        if let Err(error) = broker.client.try_subscribe(filter, QoS::AtLeastOnce) {
            // The missing answer ends the connection.
            tracing::error!(%error, filter, "cannot subscribe at the MQTT broker");
        }
        *self = Self::Requested { at: Instant::now() };
    }

    /// Notes the broker's answer, and returns whether it granted the subscription.
    pub(super) fn answered(&mut self, answer: &SubAck) -> bool {
        let is_success = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
        let is_granted = answer.return_codes.iter().all(is_success);
        *self = if is_granted {
            Self::Granted
        } else {
            Self::Refused { at: Instant::now() }
        };
        is_granted
    }

    /// Returns when something is to be done, perhaps never.
    pub(super) async fn step(self, timing: &Timing) -> Step {
        let (at, step) = match self {
            Self::None | Self::Granted => std::future::pending().await,
            Self::Requested { at } => (at + timing.subscribed_within, Step::GiveUp),
            Self::Refused { at } => (at + timing.subscribe_again_after, Step::Request),
        };
        sleep_until(at).await;
        step
    }
}
