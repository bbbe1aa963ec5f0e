//! What devices acknowledge over MQTT.

use std::sync::Arc;

use metrics::counter;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::xxh3_64;

use super::topics::acknowledging_device;
use super::{Standing, standing};
use crate::access::DeviceScope;
use crate::backoff::Backoff;
use crate::broker::Received;
use crate::catalog::field::Invalid;
use crate::catalog::ids::PushId;
use crate::catalog::push::Acknowledgement;
use crate::catalog::text::PushDetail;
use crate::services::push_delivery::acknowledge;
use crate::services::{Context, ServiceError};

/// Acknowledgements that are written at a time.
const LANES: usize = 8;
/// Acknowledgements that wait in one lane.
const LANE: usize = 64;

/// What a device sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    push_id: PushId,
    state: String,
    detail: Option<String>,
}

/// What a device said of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    push: PushId,
    state: Acknowledgement,
    detail: Option<PushDetail>,
}

/// Why a message is no acknowledgement.
#[derive(Debug, thiserror::Error)]
enum Bad {
    #[error("the topic is of no device")]
    Topic,
    #[error("the body must be JSON: {{push_id, state, detail?}}: {0}")]
    Body(#[from] serde_json::Error),
    #[error("{0} {1}")]
    Member(&'static str, Invalid),
}

/// Hears until the connection has ended. What one device says is taken in its order.
pub(super) async fn run(ctx: Arc<Context>, mut received: mpsc::Receiver<Received>) {
    let mut tasks = JoinSet::new();
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let (lane, messages) = mpsc::channel(LANE);
            tasks.spawn(run_lane(ctx.clone(), messages));
            lane
        })
        .collect();
    while let Some(message) = received.recv().await {
        let index = xxh3_64(message.topic.as_bytes()) % LANES as u64;
        let lane = lanes.get(usize::try_from(index).unwrap_or_default());
        // A lane ends only with its task.
        if let Some(lane) = lane
            && lane.send(message).await.is_err()
        {
            tracing::error!("a task that takes acknowledgements has failed");
        }
    }
    drop(lanes);
    tasks.join_all().await;
}

async fn run_lane(ctx: Arc<Context>, mut messages: mpsc::Receiver<Received>) {
    while let Some(message) = messages.recv().await {
        let outcome = match read(&message) {
            Ok((scope, said)) => take(&ctx, &scope, said).await,
            Err(error) => {
                tracing::debug!(%error, topic = message.topic, "a message is no acknowledgement");
                "bad"
            }
        };
        counter!("slipway_push_mqtt_acknowledgements_total", "outcome" => outcome).increment(1);
    }
}

fn read(message: &Received) -> Result<(DeviceScope, Said), Bad> {
    let scope = acknowledging_device(&message.topic).ok_or(Bad::Topic)?;
    let body: Body = serde_json::from_slice(&message.payload)?;
    let state = Acknowledgement::parse(&body.state).map_err(|why| Bad::Member("state", why))?;
    let detail = body.detail.map(PushDetail::parse).transpose();
    let said = Said {
        push: body.push_id,
        state,
        detail: detail.map_err(|why| Bad::Member("detail", why))?,
    };
    Ok((scope, said))
}

/// Tries again for as long as the database is away; others wait meanwhile. Of a tenant that is not known here the
/// database tells whether the device has the push.
async fn take(ctx: &Context, scope: &DeviceScope, said: Said) -> &'static str {
    if standing(ctx, scope.tenant().tenant()) == Standing::Disabled {
        return "refused";
    }
    let mut backoff = Backoff::default();
    loop {
        let taken = acknowledge(ctx, scope, said.push, (said.state, said.detail.clone())).await;
        match taken {
            Ok(_) => return "taken",
            Err(ServiceError::Unavailable(error)) => {
                tracing::debug!(%error, "an acknowledgement cannot be written now; it is tried again");
                tokio::time::sleep(backoff.next()).await;
            }
            Err(error) => {
                tracing::debug!(%error, push = %said.push, "an acknowledgement is refused");
                return "refused";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &str = "01a213d3-aaa7-7637-9634-e45716b63ffd";

    fn read_body(payload: &str) -> Result<Said, Bad> {
        let message = Received {
            topic: "slipway/1/devices/A/acks".to_owned(),
            payload: payload.as_bytes().to_vec(),
        };
        read(&message).map(|(_, said)| said)
    }

    #[test]
    fn what_devices_say_is_read() {
        let said = read_body(&format!(
            r#"{{"push_id":"{PUSH}","state":"opened","detail":"shown"}}"#
        ))
        .unwrap();
        assert_eq!(said.push.to_string(), PUSH);
        assert_eq!(said.state, Acknowledgement::Opened);
        assert_eq!(said.detail, Some(PushDetail::parse("shown").unwrap()));
        let said = read_body(&format!(
            r#"{{"push_id":"{PUSH}","state":"failed","detail":null}}"#
        ))
        .unwrap();
        assert_eq!(said.detail, None);
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
