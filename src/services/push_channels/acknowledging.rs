//! Acknowledgements of pushes by devices, over every channel.

use crate::services::{Context, ServiceError};
use crate::storage::push_targets;
use crate::storage::{Authority, pushes};
use slipway_domain::access::DeviceScope;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Acknowledgement, Channel, TargetRecord};
use slipway_domain::catalog::text::PushDetail;

/// Acknowledgement of a push by a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushAck {
    pub push: PushId,
    pub state: Acknowledgement,
    pub detail: Option<PushDetail>,
}

/// Calls [`acknowledge`] unless the device exceeds its rate limit.
pub async fn acknowledge_within_limit(
    ctx: &Context,
    scope: &DeviceScope,
    authority: Authority,
    ack: PushAck,
) -> Result<TargetRecord, ServiceError> {
    ctx.device_admission().limits.count_acknowledgement(scope)?;
    acknowledge(ctx, scope, authority, ack).await
}

/// Records an acknowledgement, which stops further delivery of the push. Returns the current state of the target. A
/// late or repeated acknowledgement succeeds and changes nothing. Over MQTT the broker authenticates the device, so
/// `authority` is that of the program.
pub async fn acknowledge(
    ctx: &Context,
    scope: &DeviceScope,
    authority: Authority,
    ack: PushAck,
) -> Result<TargetRecord, ServiceError> {
    let now = ctx.now();
    let tx = ctx.db().begin_as(authority).await?;
    let (tenant, device, push) = (scope.tenant(), scope.device(), ack.push);
    // Asked before the target is read: a delivery that is written between the two would be in neither.
    let unwritten = ctx.push_delivery().unwritten_channel(push, device);
    let done = push_targets::acknowledge(&tx, tenant, device, push, ack.state, ack.detail, now).await?;
    let done = done.ok_or(ServiceError::NotFound("push"))?;
    if done.target.state == done.before {
        return Ok(done.target);
    }
    tx.commit().await?;
    ctx.push_delivery().notify_local(push);
    metrics::counter!("slipway_push_acknowledged_total", "state" => done.target.state.as_str()).increment(1);
    if !done.before.is_acknowledged() {
        record_latency(ctx, scope, &done.target, unwritten).await;
    }
    Ok(done.target)
}

/// Records the time from the creation of a push to its first acknowledgement as a metric. `unwritten` is the channel of a
/// delivery that is not in the database yet.
async fn record_latency(
    ctx: &Context,
    scope: &DeviceScope,
    target: &TargetRecord,
    unwritten: Option<Channel>,
) {
    let Ok(Some(push)) = pushes::find(ctx.db(), scope.tenant(), target.push).await else {
        // The acknowledgement is stored regardless of the metric.
        return;
    };
    let taken = target.changed_at - push.created_at;
    // Another node may have delivered the push without having written the delivery yet.
    let channel = unwritten.or(target.channel).map_or("unknown", Channel::as_str);
    metrics::histogram!("slipway_push_acknowledge_seconds", "channel" => channel)
        .record(taken.as_seconds_f64());
}
