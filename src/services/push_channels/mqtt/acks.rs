//! Acknowledgements that devices publish over MQTT.
//!
//! A message is confirmed to the broker only after it is written to the database, so that a lost connection loses no
//! messages. One message per device is written at a time, and devices take turns: a busy device does not delay the
//! others.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use metrics::counter;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use super::queues::KeyedQueues;
use super::topics::acknowledging_device;
use super::{TenantState, tenant_state};
use crate::backoff::Backoff;
use crate::broker::ReceivedMessage;
use crate::services::push_channels::{PushAck, acknowledge};
use crate::services::{Context, ServiceError, within_deadline};
use crate::storage::Authority;
use crate::supervision::{Exit, contain_panic};
use slipway_domain::access::DeviceScope;
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::Acknowledgement;
use slipway_domain::catalog::text::PushDetail;

/// Maximum number of concurrent writes.
const AT_ONCE: usize = 8;
/// Maximum number of acknowledgements queued in memory. Further ones wait at the broker.
const WAITING: usize = 2_048;

/// Consumer of the acknowledgements from devices.
pub(super) struct AckConsumer {
    ctx: Arc<Context>,
    received: mpsc::Receiver<ReceivedMessage>,
    /// By topic, which belongs to one device.
    queues: KeyedQueues<Vec<u8>, AckMessage>,
    /// Writes in progress. Each returns its topic.
    writing: FuturesUnordered<BoxFuture<'static, Vec<u8>>>,
    /// True while more messages can be received.
    is_open: bool,
}

/// A valid acknowledgement with its message.
struct AckMessage {
    message: ReceivedMessage,
    scope: DeviceScope,
    ack: PushAck,
}

/// The JSON body of an acknowledgement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AckBody {
    push_id: PushId,
    state: String,
    detail: Option<String>,
}

/// Reason why a message is not a valid acknowledgement.
#[derive(Debug, thiserror::Error)]
enum InvalidAck {
    #[error("the topic does not belong to a device")]
    Topic,
    #[error("the body must be JSON: {{push_id, state, detail?}}: {0}")]
    Body(#[from] serde_json::Error),
    #[error("{0} {1}")]
    Member(&'static str, Invalid),
}

impl AckConsumer {
    pub(super) fn new(ctx: Arc<Context>, received: mpsc::Receiver<ReceivedMessage>) -> Self {
        Self {
            ctx,
            received,
            queues: KeyedQueues::new(),
            writing: FuturesUnordered::new(),
            is_open: true,
        }
    }

    /// Receives messages until `over` is set or the connection has ended, and then writes the queued ones.
    pub(super) async fn run(&mut self, mut over: watch::Receiver<bool>) -> Exit {
        let over = async move {
            // A dropped sender also means the end.
            let _ = over.wait_for(|is_over| *is_over).await;
        };
        let mut over = pin!(over.fuse());
        loop {
            self.write_next();
            if !self.is_open && self.writing.is_empty() {
                return Exit::Finished;
            }
            tokio::select! {
                Some(topic) = self.writing.next() => self.queues.end(topic),
                message = self.received.recv(), if self.is_open && self.queues.len() < WAITING => match message {
                    Some(message) => self.consume(message).await,
                    None => self.is_open = false,
                },
                () = &mut over => self.received.close(),
            }
        }
    }

    async fn consume(&mut self, message: ReceivedMessage) {
        let (scope, ack) = match read(message.topic(), message.payload()) {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, ?message, "a message is not a valid acknowledgement");
                count("bad");
                return message.acknowledge().await;
            }
        };
        let topic = message.topic().to_vec();
        if self
            .ctx
            .device_admission()
            .limits
            .count_acknowledgement(&scope)
            .is_err()
        {
            count("too_many");
            return message.acknowledge().await;
        }
        let item = AckMessage { message, scope, ack };
        self.queues.push(topic, item);
    }

    /// Starts writes up to the concurrency limit.
    fn write_next(&mut self) {
        while self.writing.len() < AT_ONCE
            && let Some((topic, item)) = self.queues.begin()
        {
            let ctx = self.ctx.clone();
            self.writing.push(Box::pin(async move {
                let outcome = contain_panic(Box::pin(write(&ctx, &item.scope, item.ack))).await;
                count(outcome.unwrap_or_else(|panic| {
                    tracing::error!(panic, "dropped an acknowledgement, because writing it panicked");
                    "failed"
                }));
                item.message.acknowledge().await;
                topic
            }));
        }
    }
}

fn count(outcome: &'static str) {
    counter!("slipway_push_mqtt_acknowledgements_total", "outcome" => outcome).increment(1);
}

fn read(topic: &[u8], payload: &[u8]) -> Result<(DeviceScope, PushAck), InvalidAck> {
    let topic = str::from_utf8(topic).map_err(|_| InvalidAck::Topic)?;
    let scope = acknowledging_device(topic).ok_or(InvalidAck::Topic)?;
    let body: AckBody = serde_json::from_slice(payload)?;
    let state = Acknowledgement::parse(&body.state).map_err(|why| InvalidAck::Member("state", why))?;
    let detail = body.detail.map(PushDetail::parse).transpose();
    let ack = PushAck {
        push: body.push_id,
        state,
        detail: detail.map_err(|why| InvalidAck::Member("detail", why))?,
    };
    Ok((scope, ack))
}

/// Writes an acknowledgement, and retries while the database is unavailable. If the tenant is not loaded on this node,
/// the database decides if the device has the push.
async fn write(ctx: &Context, scope: &DeviceScope, ack: PushAck) -> &'static str {
    if tenant_state(ctx, scope.tenant().tenant()) == TenantState::Disabled {
        return "refused";
    }
    let mut backoff = Backoff::default();
    loop {
        let acknowledged = acknowledge(ctx, scope, Authority::Program, ack.clone());
        match within_deadline(acknowledged).await.flatten() {
            Ok(_) => return "accepted",
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "cannot write an acknowledgement now; retrying");
                tokio::time::sleep(backoff.next()).await;
            }
            Err(ServiceError::NotFound(_)) => {
                tracing::debug!(push = %ack.push, "an acknowledgement names a push that its device does not have");
                return "refused";
            }
            Err(error) => {
                tracing::error!(%error, push = %ack.push, "cannot write an acknowledgement");
                return "failed";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &str = "01a213d3-aaa7-7637-9634-e45716b63ffd";

    fn read_body(payload: &str) -> Result<PushAck, InvalidAck> {
        read(b"slipway/1/devices/A/acks", payload.as_bytes()).map(|(_, ack)| ack)
    }

    #[test]
    fn what_devices_say_is_read() {
        let ack = read_body(&format!(
            r#"{{"push_id":"{PUSH}","state":"opened","detail":"shown"}}"#
        ))
        .unwrap();
        assert_eq!(ack.push.to_string(), PUSH);
        assert_eq!(ack.state, Acknowledgement::Opened);
        assert_eq!(ack.detail, Some(PushDetail::parse("shown").unwrap()));
        let ack = read_body(&format!(
            r#"{{"push_id":"{PUSH}","state":"failed","detail":null}}"#
        ))
        .unwrap();
        assert_eq!(ack.detail, None);
    }

    #[test]
    fn anything_else_is_told_apart() {
        for (body, says) in [
            (String::new(), "must be JSON"),
            ("[]".to_owned(), "must be JSON"),
            (r#"{"state":"opened"}"#.to_owned(), "push_id"),
            (r#"{"push_id":"x","state":"opened"}"#.to_owned(), "must be JSON"),
            (format!(r#"{{"push_id":"{PUSH}"}}"#), "state"),
            (format!(r#"{{"push_id":"{PUSH}","state":1}}"#), "must be JSON"),
            (
                format!(r#"{{"push_id":"{PUSH}","state":"queued"}}"#),
                "state must be one of",
            ),
            (
                format!(r#"{{"push_id":"{PUSH}","state":"opened","more":1}}"#),
                "more",
            ),
            (
                format!(r#"{{"push_id":"{PUSH}","state":"opened","detail":""}}"#),
                "detail must",
            ),
        ] {
            let error = read_body(&body).unwrap_err().to_string();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
