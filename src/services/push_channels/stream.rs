//! The event stream of a device: delivers pending pushes immediately, new pushes as they arrive, and each push again
//! until it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::DeliveredPush;
use super::device_pushes::{delivered_by, hash_of, read_pending};
use crate::services::Context;
use crate::services::authentication::DevicePrincipal;
use crate::services::delivery::spread;
use crate::services::push_delivery::{Listener, ListenerKind, RedeliverySchedule};
use crate::timer;
use slipway_domain::catalog::push::Channel;

/// Wait after a database error before the next read, spread by device.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// An item of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// Not empty, by sequence.
    Pushes(Vec<DeliveredPush>),
    /// Sent after a period of silence, to show both ends that the connection is alive.
    Idle,
}

/// An open stream. Dropping it ends it.
pub struct EventStream {
    ctx: Arc<Context>,
    principal: DevicePrincipal,
    listener: Listener,
    schedule: RedeliverySchedule,
    /// Exclusive lower bound of the sequences to read, and the time at which to read them.
    unread: Option<(i64, Instant)>,
    heartbeat_at: Instant,
}

/// Opens a stream for a device that reports that it has all pushes up to a sequence (0: none). Returns `None` if this
/// node is about to stop.
pub fn open_stream(ctx: Arc<Context>, principal: DevicePrincipal, has_up_to: i64) -> Option<EventStream> {
    let listener = ctx
        .push_delivery()
        .listen(principal.device_ref(), ListenerKind::Stream)?;
    let now = timer::runtime_now();
    Some(EventStream {
        listener,
        schedule: RedeliverySchedule::resumed_after(has_up_to),
        unread: Some((0, now)),
        heartbeat_at: now + ctx.push_delivery().heartbeat(),
        ctx,
        principal,
    })
}

impl EventStream {
    /// Waits for the next item. Returns `None` if this node ends the stream or the device has lost access. The stream
    /// stays open while the database is unavailable, and delivers the missed pushes later.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        while !self.listener.is_ended() && self.principal.confirm(&self.ctx).is_ok() {
            let now = timer::runtime_now();
            if let Some((after, at)) = self.unread
                && at <= now
            {
                // Boxed, so that a waiting stream is small. Nearly all streams wait.
                let pushes = Box::pin(self.read(after)).await;
                if !pushes.is_empty() {
                    self.heartbeat_at = timer::runtime_now() + self.ctx.push_delivery().heartbeat();
                    return Some(StreamEvent::Pushes(pushes));
                }
            } else if let Some(due) = self.schedule.lowest_due(now) {
                self.read_soon(due - 1, now);
            } else if self.heartbeat_at <= now {
                self.heartbeat_at = now + self.ctx.push_delivery().heartbeat();
                return Some(StreamEvent::Idle);
            } else {
                self.wait().await;
            }
        }
        None
    }

    /// Waits until something may have changed.
    async fn wait(&mut self) {
        let unread_at = self.unread.map(|(_, at)| at);
        let instants = [Some(self.heartbeat_at), self.schedule.next_due(), unread_at];
        let first = instants.into_iter().flatten().min().unwrap_or(self.heartbeat_at);
        tokio::select! {
            () = self.listener.wait() => self.read_soon(self.schedule.highest(), timer::runtime_now()),
            () = sleep_until(first) => {}
        }
    }

    /// Schedules a read of the sequences above `after`, in addition to a read already scheduled.
    fn read_soon(&mut self, after: i64, at: Instant) {
        let after = self.unread.map_or(after, |(unread, _)| unread.min(after));
        self.unread = Some((after, at));
    }

    /// Reads the pending pushes above a sequence, and returns those that are due.
    async fn read(&mut self, after: i64) -> Vec<DeliveredPush> {
        self.unread = None;
        let mut open = match read_pending(&self.ctx, &self.principal.scope, after).await {
            Ok(open) => open,
            Err(error) => {
                tracing::debug!(%error, "cannot read the open pushes of a device now; retrying");
                let pause = spread(READ_AGAIN_AFTER, hash_of(&self.principal));
                self.read_soon(after, timer::runtime_now() + pause);
                return Vec::new();
            }
        };
        let sequences: Vec<_> = open.iter().map(DeliveredPush::sequence).collect();
        self.schedule.keep_only(&sequences, after + 1);
        let (now, redelivery) = (timer::runtime_now(), self.ctx.push_delivery().redelivery());
        open.retain(|push| {
            self.schedule
                .take_due(push.sequence(), push.push.id, now, redelivery)
        });
        self.schedule.limit_reported();
        let delivered = delivered_by(Channel::Events, &open);
        if !delivered.is_empty() {
            self.ctx.push_delivery().record(delivered);
        }
        open
    }
}
