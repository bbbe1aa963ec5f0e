//! A long poll: what is to be handed over now, or as soon as something is.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep_until};

use super::DeliveredPush;
use super::hub::{Listener, ListenerKind};
use super::open_pushes::{delivered_by, read_open};
use super::schedule::Redelivery;
use crate::catalog::push::Channel;
use crate::services::enrolment::DevicePass;
use crate::services::{Context, ServiceError, suspend_deadline};

/// The longest that a poll may wait, in seconds.
pub const MAX_POLL_WAIT_S: u32 = 60;
/// The most pushes that one poll gives; acknowledging them makes room for the next.
pub const MAX_POLLED: usize = 200;
/// A poll that nothing wakes looks no more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// The open pushes of a device, by sequence. Without waiting that is everything; a poll that waits gives again what was
/// delivered lately, by whichever channel but MQTT, only when that is due. It ends with an error once the device is let in no
/// more.
pub async fn poll(
    ctx: &Context,
    pass: &DevicePass,
    wait: Duration,
) -> Result<Vec<DeliveredPush>, ServiceError> {
    if wait.is_zero() {
        return hand_over(ctx, read_open(ctx, &pass.scope, 0).await?).await;
    }
    let deadline = Instant::now() + wait;
    let listener = ctx
        .push_delivery
        .hub
        .listen(pass.device_key(), ListenerKind::Poll);
    let listener = listener.ok_or(ServiceError::Stopping)?;
    loop {
        pass.confirm(ctx)?;
        let open = read_open(ctx, &pass.scope, 0).await?;
        let (due, next) = due(open, ctx.now(), ctx.push_delivery.settings.redelivery);
        let is_over = listener.is_ended() || Instant::now() >= deadline;
        if !due.is_empty() || is_over {
            return hand_over(ctx, due).await;
        }
        wait_until(&listener, deadline, next).await;
    }
}

/// Notes that pushes are delivered before they are, so that the next poll does not give them once more.
async fn hand_over(
    ctx: &Context,
    mut pushes: Vec<DeliveredPush>,
) -> Result<Vec<DeliveredPush>, ServiceError> {
    pushes.truncate(MAX_POLLED);
    if !pushes.is_empty() {
        let delivered = delivered_by(Channel::Poll, &pushes);
        ctx.push_delivery.deliveries.note_and_wait(delivered).await;
    }
    Ok(pushes)
}

async fn wait_until(listener: &Listener, deadline: Instant, next: Option<TimeDelta>) {
    let next = next.map(|wait| Instant::now() + wait.to_std().unwrap_or_default().max(LEAST_PAUSE));
    let first = next.map_or(deadline, |next| next.min(deadline));
    // The device asked to wait.
    let _suspended = suspend_deadline();
    tokio::select! {
        () = listener.woken() => {}
        () = sleep_until(first) => {}
    }
}

/// Those of the open pushes that are to be given now, and how long until the first of the others is.
fn due(
    open: Vec<DeliveredPush>,
    now: DateTime<Utc>,
    redelivery: Redelivery,
) -> (Vec<DeliveredPush>, Option<TimeDelta>) {
    let mut next: Option<TimeDelta> = None;
    let is_due = |push: &DeliveredPush| {
        let wait = wait_of(push, now, redelivery);
        if wait > TimeDelta::zero() {
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        wait <= TimeDelta::zero()
    };
    let due = open.into_iter().filter(is_due).collect();
    (due, next)
}

/// How long until a push is to be given (again).
fn wait_of(push: &DeliveredPush, now: DateTime<Utc>, redelivery: Redelivery) -> TimeDelta {
    let Some(delivered_at) = push.target.delivered_at else {
        return TimeDelta::zero();
    };
    // A broker takes a push for a device that is not there, and would keep it from one that polls.
    if push.target.channel == Some(Channel::Mqtt) {
        return TimeDelta::zero();
    }
    let times = u32::try_from(push.target.deliveries).unwrap_or(u32::MAX);
    let wait = redelivery.wait(push.push.id, times);
    delivered_at + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX) - now
}
