//! Publishes due pushes to the broker. A target is claimed, and so published, by one node only.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;

use super::topics::pushes_of;
use super::{TenantState, tenant_state};
use crate::broker::{Broker, Message, PublishError, Receipt};
use crate::services::Context;
use crate::services::outbox::{ClaimedItems, Outbox, RetryPolicy, SendResult};
use crate::services::push_channels::DeliveredPush;
use crate::services::push_delivery::Delivery;
use crate::storage::StorageError;
use crate::storage::push_targets::{ClaimedTarget, claim_due_for_mqtt, release_for_mqtt};
use slipway_domain::catalog::push::{Channel, Push, TargetKey, TargetRecord};

/// Factor for the longest wait of a push whose last delivery, if any, was not over MQTT. Its device may not use MQTT at
/// all.
const NON_MQTT_BACKOFF_FACTOR: u32 = 12;

/// Push targets on their way to the broker.
pub(super) struct PushOutbox {
    pub(super) ctx: Arc<Context>,
    pub(super) broker: Broker,
}

impl Outbox for PushOutbox {
    const NAME: &'static str = "push_publisher";

    type Item = ClaimedTarget;
    type Key = TargetKey;

    fn is_connected(&self) -> bool {
        self.broker.is_connected()
    }

    async fn wait_until_connected(&self) {
        self.broker.wait_until_connected().await;
    }

    async fn wait_for_item(&self) {
        self.ctx.push_delivery().wait_for_push().await;
    }

    async fn claim(&self, limit: u64) -> Result<ClaimedItems<ClaimedTarget>, StorageError> {
        let (now, waits) = (self.ctx.now(), self.ctx.push_delivery().redelivery());
        let next_due_at = |target: &TargetRecord, push: &Push| next_due_at(target, push, now, waits);
        let claim = claim_due_for_mqtt(self.ctx.db(), now, next_due_at, limit).await?;
        Ok(ClaimedItems {
            items: claim.claimed,
            set_aside: claim.set_aside,
        })
    }

    async fn send(&self, claimed: ClaimedTarget) -> SendResult<TargetKey> {
        let key = claimed.target.key.clone();
        let tenant_state = tenant_state(&self.ctx, key.tenant);
        if claimed.push.expires_at <= self.ctx.now() || tenant_state == TenantState::Disabled {
            return SendResult::Settled;
        }
        // If the tenant is unknown here, another node may know it.
        if tenant_state == TenantState::Unknown || self.publish(claimed).await == Outcome::Lost {
            return SendResult::Unsent(key);
        }
        SendResult::Settled
    }

    async fn release(&self, keys: &[TargetKey]) -> Result<(), StorageError> {
        release_for_mqtt(self.ctx.db(), keys, self.ctx.now()).await
    }
}

/// Returns the time of the next publish if the target is published now.
fn next_due_at(
    target: &TargetRecord,
    push: &Push,
    now: DateTime<Utc>,
    redelivery: RetryPolicy,
) -> DateTime<Utc> {
    let age = (now - push.created_at).to_std().unwrap_or_default();
    let waits = waits_after(target.channel, redelivery);
    let wait = waits.at_age(age, push.id.uuid(), target.key.device.as_str());
    now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
}

/// Returns the bounds of the waits, by the channel of the last delivery. A device without a delivery over MQTT may not
/// use MQTT at all, so its pushes are published less often.
fn waits_after(channel: Option<Channel>, redelivery: RetryPolicy) -> RetryPolicy {
    let longest = match channel {
        Some(Channel::Mqtt) => redelivery.longest,
        _ => redelivery.longest.saturating_mul(NON_MQTT_BACKOFF_FACTOR),
    };
    RetryPolicy {
        longest,
        ..redelivery
    }
}

/// Result of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// No subscriber, so the push was not delivered.
    NoSubscriber,
    Refused,
    /// The connection broke. The broker may or may not have the message.
    Lost,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NoSubscriber => "no_subscriber",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

impl PushOutbox {
    async fn publish(&self, claimed: ClaimedTarget) -> Outcome {
        let expires_in = message_lifetime(&claimed, self.ctx.now());
        let push = DeliveredPush {
            target: claimed.target,
            push: claimed.push,
        };
        let key = &push.target.key;
        let message = Message {
            topic: pushes_of(key.tenant, &key.device),
            payload: push.json(),
            expires_in,
        };
        let outcome = match self.broker.publish(message).await {
            Ok(Receipt::Accepted) => {
                let delivery = Delivery {
                    target: key.clone(),
                    push: push.push.id,
                    channel: Channel::Mqtt,
                };
                self.ctx.push_delivery().record(vec![delivery]);
                Outcome::Accepted
            }
            Ok(Receipt::NoSubscriber) => Outcome::NoSubscriber,
            Err(error @ PublishError::Refused(_)) => {
                tracing::warn!(%error, push = %push.push.id, "could not publish a push; it will be retried");
                Outcome::Refused
            }
            Err(PublishError::Disconnected) => Outcome::Lost,
        };
        counter!("slipway_push_mqtt_publishes_total", "outcome" => outcome.as_str()).increment(1);
        outcome
    }
}

/// Returns the expiry of a message. The first message expires with the push. A repeat expires when the next one is due,
/// so that a broker that queues messages for an absent device does not accumulate repeats.
fn message_lifetime(claimed: &ClaimedTarget, now: DateTime<Utc>) -> Duration {
    let until = if claimed.target.deliveries == 0 {
        claimed.push.expires_at
    } else {
        claimed.push.expires_at.min(claimed.next_due_at)
    };
    (until - now).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_the_broker_took_nothing_for_costs_less() {
        let redelivery = RetryPolicy {
            first: Duration::from_secs(15),
            longest: Duration::from_mins(5),
        };
        for channel in [None, Some(Channel::Poll), Some(Channel::Events)] {
            assert_eq!(waits_after(channel, redelivery).longest, Duration::from_hours(1));
        }
        assert_eq!(waits_after(Some(Channel::Mqtt), redelivery), redelivery);
    }
}
