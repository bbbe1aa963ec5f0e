//! Long polls: return the pushes that are due, or wait for the first one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep, sleep_until};

use super::DeliveredPush;
use super::device_pushes::{delivered_by, hash_of, read_pending};
use crate::services::authentication::DevicePrincipal;
use crate::services::outbox::{RetryPolicy, jitter};
use crate::services::push_delivery::{Listener, ListenerKind};
use crate::services::{Context, ServiceError, suspend_deadline};
use crate::timer;
use slipway_domain::catalog::push::Channel;

/// Maximum wait of a poll, in seconds.
pub const MAX_POLL_WAIT_S: u32 = 60;
/// Maximum number of pushes per poll. Acknowledging them makes room for the next ones.
pub const MAX_POLLED: usize = 200;
/// Minimum time between reads of a poll that is not woken.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Maximum wait of a poll while this node is about to stop.
const DRAINING_POLL_WAIT: Duration = Duration::from_millis(500);

/// Returns up to [`MAX_POLLED`] pending pushes of a device, by sequence. With a wait, a push that was last delivered
/// over a stream or a poll is left out until it is due again. Fails once the device has lost access.
pub async fn poll(
    ctx: &Context,
    principal: &DevicePrincipal,
    wait: Duration,
) -> Result<Vec<DeliveredPush>, ServiceError> {
    if wait.is_zero() {
        return record_delivery(ctx, read_pending(ctx, &principal.scope, 0).await?).await;
    }
    let deadline = timer::runtime_now() + wait;
    let listener = ctx
        .push_delivery()
        .listen(principal.device_ref(), ListenerKind::Poll);
    let Some(listener) = listener else {
        return poll_draining_node(ctx, principal, wait).await;
    };
    loop {
        principal.confirm(ctx)?;
        let open = read_pending(ctx, &principal.scope, 0).await?;
        let (due, next) = due(open, ctx.now(), ctx.push_delivery().redelivery());
        let is_over = listener.is_ended() || timer::runtime_now() >= deadline;
        if !due.is_empty() || is_over {
            return record_delivery(ctx, due).await;
        }
        wait_until(&listener, deadline, next).await;
    }
}

/// Answers a poll while this node is about to stop. The answer comes early, so that the stop does not wait for it, and
/// may be empty. It comes after a pause, because the device polls again at once. Pauses are spread, because all polls
/// ended together, and the database is read only if memory has a push.
async fn poll_draining_node(
    ctx: &Context,
    principal: &DevicePrincipal,
    wait: Duration,
) -> Result<Vec<DeliveredPush>, ServiceError> {
    {
        let _suspended = suspend_deadline();
        sleep(jitter(wait.min(DRAINING_POLL_WAIT), hash_of(principal))).await;
    }
    principal.confirm(ctx)?;
    let (tenant, device) = (
        principal.scope.tenant().tenant(),
        principal.scope.device().as_str(),
    );
    if ctx.checks().pending_pushes.count(tenant, device, ctx.now()) == 0 {
        return Ok(Vec::new());
    }
    let open = read_pending(ctx, &principal.scope, 0).await?;
    let (due, _) = due(open, ctx.now(), ctx.push_delivery().redelivery());
    record_delivery(ctx, due).await
}

/// Records the deliveries before they happen, so that the next poll does not return the same pushes.
async fn record_delivery(
    ctx: &Context,
    mut pushes: Vec<DeliveredPush>,
) -> Result<Vec<DeliveredPush>, ServiceError> {
    pushes.truncate(MAX_POLLED);
    if !pushes.is_empty() {
        let delivered = delivered_by(Channel::Poll, &pushes);
        ctx.push_delivery().record_and_wait(delivered).await;
    }
    Ok(pushes)
}

async fn wait_until(listener: &Listener, deadline: Instant, next: Option<TimeDelta>) {
    let next = next.map(|wait| timer::runtime_now() + wait.to_std().unwrap_or_default().max(MIN_PAUSE));
    let first = next.map_or(deadline, |next| next.min(deadline));
    // The device requested the wait.
    let _suspended = suspend_deadline();
    tokio::select! {
        () = listener.wait() => {}
        () = sleep_until(first) => {}
    }
}

/// Returns the pending pushes that are due, and the time until the first of the others is due.
fn due(
    open: Vec<DeliveredPush>,
    now: DateTime<Utc>,
    redelivery: RetryPolicy,
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

/// Returns the time until a push is due for delivery.
fn wait_of(push: &DeliveredPush, now: DateTime<Utc>, redelivery: RetryPolicy) -> TimeDelta {
    let Some(delivered_at) = push.target.delivered_at else {
        return TimeDelta::zero();
    };
    // A broker accepts a push for an absent device. The push must not be withheld from a poll for that reason.
    if push.target.channel == Some(Channel::Mqtt) {
        return TimeDelta::zero();
    }
    let times = u32::try_from(push.target.deliveries).unwrap_or(u32::MAX);
    let wait = redelivery.after(push.push.id.uuid(), times);
    delivered_at + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX) - now
}
