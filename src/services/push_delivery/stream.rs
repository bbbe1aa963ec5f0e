//! One device's stream of events: what is open at once, what is pushed later as it comes, and everything again until
//! it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::DeliveredPush;
use super::hub::{Listener, ListenerKind};
use super::open_pushes::{delivered_by, read_open};
use super::schedule::{Turns, spread};
use crate::catalog::push::Channel;
use crate::services::enrolment::DevicePass;
use crate::services::{Context, ServiceError};

/// How long to wait after the database did not answer, spread.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What a stream gives next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// At least one, by sequence.
    Pushes(Vec<DeliveredPush>),
    /// Nothing for a while: only to show that both ends are there.
    Idle,
}

/// An open stream; it is over when it is dropped.
pub struct EventStream {
    ctx: Arc<Context>,
    pass: DevicePass,
    listener: Listener,
    turns: Turns,
    /// What is open above this sequence is to be read, now or at an instant.
    unread: Option<(i64, Instant)>,
    heartbeat_at: Instant,
}

/// Begins a stream for a device that says it has what comes up to a sequence (0: nothing).
pub fn open_stream(ctx: Arc<Context>, pass: DevicePass, has_up_to: i64) -> Result<EventStream, ServiceError> {
    let listener = ctx
        .push_delivery
        .hub
        .listen(pass.device_key(), ListenerKind::Stream);
    let now = Instant::now();
    Ok(EventStream {
        listener: listener.ok_or(ServiceError::Stopping)?,
        turns: Turns::resumed_after(has_up_to),
        unread: Some((0, now)),
        heartbeat_at: now + ctx.push_delivery.settings.heartbeat,
        ctx,
        pass,
    })
}

impl EventStream {
    /// What comes next; `None` when this node ends the stream, or lets the device in no more. While the database is away
    /// the stream stays, and what it missed comes later.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        while !self.listener.is_ended() && self.pass.confirm(&self.ctx).is_ok() {
            let now = Instant::now();
            if let Some((after, at)) = self.unread
                && at <= now
            {
                // In a box, so that a stream which waits, as nearly all do, is small.
                let pushes = Box::pin(self.read(after)).await;
                if !pushes.is_empty() {
                    self.heartbeat_at = Instant::now() + self.ctx.push_delivery.settings.heartbeat;
                    return Some(StreamEvent::Pushes(pushes));
                }
            } else if let Some(due) = self.turns.lowest_due(now) {
                self.read_soon(due - 1, now);
            } else if self.heartbeat_at <= now {
                self.heartbeat_at = now + self.ctx.push_delivery.settings.heartbeat;
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
        let instants = [Some(self.heartbeat_at), self.turns.next_due(), unread_at];
        let first = instants.into_iter().flatten().min().unwrap_or(self.heartbeat_at);
        tokio::select! {
            () = self.listener.woken() => self.read_soon(self.turns.highest(), Instant::now()),
            () = sleep_until(first) => {}
        }
    }

    /// Notes that what is above a sequence is to be read, beside what was to be read anyway.
    fn read_soon(&mut self, after: i64, at: Instant) {
        let after = self.unread.map_or(after, |(unread, _)| unread.min(after));
        self.unread = Some((after, at));
    }

    /// The pushes above a sequence that are to be offered now.
    async fn read(&mut self, after: i64) -> Vec<DeliveredPush> {
        self.unread = None;
        let mut open = match read_open(&self.ctx, &self.pass.scope, after).await {
            Ok(open) => open,
            Err(error) => {
                tracing::debug!(%error, "a device's pushes cannot be read now");
                let pause = spread(READ_AGAIN_AFTER, hash_of(&self.pass));
                self.read_soon(after, Instant::now() + pause);
                return Vec::new();
            }
        };
        let sequences: Vec<_> = open.iter().map(DeliveredPush::sequence).collect();
        self.turns.keep_only(&sequences, after + 1);
        let (now, redelivery) = (Instant::now(), self.ctx.push_delivery.settings.redelivery);
        open.retain(|push| self.turns.take(push.sequence(), push.push.id, now, redelivery));
        let delivered = delivered_by(Channel::Events, &open);
        if !delivered.is_empty() {
            self.ctx.push_delivery.deliveries.note(delivered);
        }
        open
    }
}

/// Spreads devices that lost the database at the same time.
fn hash_of(pass: &DevicePass) -> u64 {
    xxhash_rust::xxh3::xxh3_64(pass.scope.device().as_str().as_bytes())
}
