//! Publishes due pushes to the broker. A target is claimed, and so published, by one node only.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use metrics::counter;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::topics::pushes_of;
use super::{TenantState, tenant_state};
use crate::broker::{Broker, Message, PublishError, Receipt};
use crate::services::Context;
use crate::services::push_channels::DeliveredPush;
use crate::services::push_delivery::{Delivery, Redelivery, spread};
use crate::storage::StorageError;
use crate::storage::push_targets::{ClaimedTarget, claim_due_for_mqtt, release_for_mqtt};
use crate::supervision::Exit;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Channel, Push, TargetKey, TargetRecord};
use slipway_domain::catalog::text::DeviceId;

/// Interval between polls for targets that have become due. New pushes wake the task.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Targets that are claimed and published together.
const BATCH: u64 = 500;
/// Factor for the longest wait of a push whose last delivery, if any, was not over MQTT. Its device may not use MQTT at
/// all.
const NON_MQTT_BACKOFF_FACTOR: u32 = 12;

/// Publishes until `over` is set, and then finishes the current batch.
pub(super) async fn run(ctx: &Context, broker: &Broker, over: &mut watch::Receiver<bool>) -> Exit {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // A dropped sender also means the end.
            _ = over.wait_for(|is_over| *is_over) => return Exit::Finished,
            () = may_be_due(ctx, broker, &mut ticks) => {}
        }
        while !*over.borrow() && broker.is_connected() {
            match publish_due(ctx, broker).await {
                Ok(count) if count < BATCH => break,
                Ok(_) => {}
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "cannot claim targets that are due for MQTT now; retrying");
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, "cannot claim targets that are due for MQTT");
                    break;
                }
            }
        }
    }
}

/// Waits until the broker is connected and a push may be due.
async fn may_be_due(ctx: &Context, broker: &Broker, ticks: &mut Interval) {
    broker.connected().await;
    tokio::select! {
        () = ctx.push_delivery().something_pushed() => {}
        _ = ticks.tick() => {}
    }
}

/// Claims and publishes a batch of due targets, and returns their number.
async fn publish_due(ctx: &Context, broker: &Broker) -> Result<u64, StorageError> {
    let (now, redelivery) = (ctx.now(), ctx.push_delivery().redelivery());
    let next_due_at = |target: &TargetRecord, push: &Push| next_due_at(target, push, now, redelivery);
    let claim = claim_due_for_mqtt(ctx.db(), now, next_due_at, BATCH).await?;
    let count = u64::try_from(claim.claimed.len() + claim.set_aside).unwrap_or(BATCH);
    if claim.set_aside > 0 {
        tracing::error!(
            targets = claim.set_aside,
            "some push targets cannot be read and are not published"
        );
    }
    let publishing = claim
        .claimed
        .into_iter()
        .map(|claimed| (tenant_state(ctx, claimed.target.key.tenant), claimed))
        .filter(|(tenant_state, claimed)| {
            claimed.push.expires_at > now && *tenant_state != TenantState::Disabled
        })
        .map(|(tenant_state, claimed)| async move {
            let key = claimed.target.key.clone();
            // If the tenant is unknown here, another node may know it.
            let is_lost = tenant_state == TenantState::Unknown
                || publish(ctx, broker, claimed, now).await == Outcome::Lost;
            is_lost.then_some(key)
        });
    let lost: Vec<_> = join_all(publishing).await.into_iter().flatten().collect();
    if !lost.is_empty() {
        release_claims(ctx, &lost).await;
    }
    Ok(count)
}

/// Makes targets due immediately, so that any node with a broker can publish them. If this fails, they become due again
/// at the end of their wait.
async fn release_claims(ctx: &Context, keys: &[TargetKey]) {
    match release_for_mqtt(ctx.db(), keys, ctx.now()).await {
        Ok(()) => {}
        Err(error) if error.is_transient() => {
            tracing::debug!(%error, "cannot release the claim on unpublished targets now");
        }
        Err(error) => tracing::error!(%error, "cannot release the claim on unpublished targets"),
    }
}

/// Returns the time of the next publish if the target is published now.
fn next_due_at(
    target: &TargetRecord,
    push: &Push,
    now: DateTime<Utc>,
    redelivery: Redelivery,
) -> DateTime<Utc> {
    let age = (now - push.created_at).to_std().unwrap_or_default();
    let bounds = bounds_after(target.channel, redelivery);
    let wait = wait_at(age, (push.id, &target.key.device), bounds);
    now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
}

/// Returns the bounds of a wait, by the channel of the last delivery. A device without a delivery over MQTT may not use
/// MQTT at all, so its pushes are published less often.
fn bounds_after(channel: Option<Channel>, redelivery: Redelivery) -> Redelivery {
    let longest = match channel {
        Some(Channel::Mqtt) => redelivery.longest,
        _ => redelivery.longest.saturating_mul(NON_MQTT_BACKOFF_FACTOR),
    };
    Redelivery {
        longest,
        ..redelivery
    }
}

/// Returns the wait until the next publish: the age of the push, within bounds. An unacknowledged push is thus
/// published at growing intervals, whichever node publishes it. The waits of a push's devices are spread, so that the
/// devices do not get it again at the same time.
fn wait_at(age: Duration, (push, device): (PushId, &DeviceId), bounds: Redelivery) -> Duration {
    let wait = age.min(bounds.longest).max(bounds.first);
    let seed = xxh3_64_with_seed(push.uuid().as_bytes(), age.as_secs());
    spread(wait, xxh3_64_with_seed(device.as_str().as_bytes(), seed))
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
            Self::Accepted => "taken",
            Self::NoSubscriber => "nobody",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

async fn publish(ctx: &Context, broker: &Broker, claimed: ClaimedTarget, now: DateTime<Utc>) -> Outcome {
    let expires_in = message_lifetime(&claimed, now);
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
    let outcome = match broker.publish(message).await {
        Ok(Receipt::Accepted) => {
            let delivery = Delivery {
                target: key.clone(),
                push: push.push.id,
                channel: Channel::Mqtt,
            };
            ctx.push_delivery().record(vec![delivery]);
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
    use std::collections::HashSet;

    use super::*;
    use crate::random;

    const REDELIVERY: Redelivery = Redelivery {
        first: Duration::from_secs(15),
        longest: Duration::from_mins(5),
    };

    #[test]
    fn the_older_a_push_is_the_more_rarely_it_is_published() {
        for (age_s, wait_s) in [(0, 15), (15, 15), (40, 40), (300, 300), (86_400, 300)] {
            for device in ["A", "B", "C"] {
                let device = DeviceId::parse(device).unwrap();
                let age = Duration::from_secs(age_s);
                let wait = wait_at(age, (random::id::<PushId>(), &device), REDELIVERY).as_secs_f64();
                let share = wait / f64::from(wait_s);
                assert!((0.75..=1.25).contains(&share), "{age_s}: {wait}");
            }
        }
    }

    #[test]
    fn a_device_that_the_broker_took_nothing_for_costs_less() {
        for channel in [None, Some(Channel::Poll), Some(Channel::Events)] {
            assert_eq!(bounds_after(channel, REDELIVERY).longest, Duration::from_hours(1));
        }
        assert_eq!(bounds_after(Some(Channel::Mqtt), REDELIVERY), REDELIVERY);
    }

    #[test]
    fn the_devices_of_a_push_are_spread() {
        let push = random::id::<PushId>();
        let wait = |number: u32| {
            let device = DeviceId::parse(number.to_string()).unwrap();
            wait_at(Duration::ZERO, (push, &device), REDELIVERY)
        };
        let distinct: HashSet<_> = (0..100).map(wait).collect();
        assert!(distinct.len() > 50, "{}", distinct.len());
    }
}
