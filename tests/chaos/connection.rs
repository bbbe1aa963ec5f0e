//! Connection of a device to the nodes, over one or more channels.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fixture::{Channel, Fixture};
use slipway_test_support::mqtt_device::MqttDevice;
use slipway_test_support::sse::{SseItem, SseStream};

/// Silence after which a stream is abandoned. Several comments should have arrived by then.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// Wait of a poll in seconds, shorter than a caller's time limit.
const POLL_WAIT_S: u32 = 1;

/// Closed when dropped.
pub(super) struct Connection {
    receipts: mpsc::UnboundedReceiver<Receipt>,
    acknowledgements: mpsc::UnboundedSender<String>,
    /// One task for each channel.
    tasks: JoinSet<()>,
}

/// A push received by a device.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) channel: Channel,
    pub(super) push: Value,
}

/// Destination of the pushes of one channel.
struct Inbox {
    channel: Channel,
    receipts: mpsc::UnboundedSender<Receipt>,
}

impl Connection {
    /// Connects a device to a node. `has_up_to` is the sequence that the device reports as completely received.
    pub(super) fn open(fixture: Arc<Fixture>, device: usize, node: usize, has_up_to: Option<i64>) -> Self {
        let (sender, receipts) = mpsc::unbounded_channel();
        let (acknowledgements, said) = mpsc::unbounded_channel();
        let mut said = Some(said);
        let mut tasks = JoinSet::new();
        for channel in fixture.devices[device].channels {
            let fixture = fixture.clone();
            let inbox = Inbox {
                channel: *channel,
                receipts: sender.clone(),
            };
            match channel {
                Channel::Events => {
                    tasks.spawn(async move { listen(&fixture, device, node, has_up_to, &inbox).await });
                }
                Channel::Poll => {
                    tasks.spawn(async move { poll(&fixture, device, node, &inbox).await });
                }
                Channel::Mqtt => {
                    let said = said.take().expect("a channel is there once");
                    tasks.spawn(async move { subscribe(&fixture, device, &inbox, said).await });
                }
            }
        }
        Self {
            receipts,
            acknowledgements,
            tasks,
        }
    }

    /// Returns the next push, or `None` if a channel is down.
    pub(super) async fn next(&mut self) -> Option<Receipt> {
        tokio::select! {
            biased;
            receipt = self.receipts.recv() => receipt,
            _ = self.tasks.join_next() => None,
        }
    }

    /// Acknowledges a push over the connection itself, which only MQTT supports. There is no answer.
    pub(super) fn say(&self, body: String) {
        // A broken connection loses the message.
        let _ = self.acknowledgements.send(body);
    }
}

impl Inbox {
    /// Queues a push. Returns false if the receiver is gone.
    fn put(&self, push: Value) -> bool {
        let channel = self.channel;
        self.receipts.send(Receipt { channel, push }).is_ok()
    }
}

async fn listen(fixture: &Fixture, device: usize, node: usize, has_up_to: Option<i64>, inbox: &Inbox) {
    let device = &fixture.devices[device];
    let url = fixture.url(node);
    let opening = SseStream::try_open("GET", &url, &device.id, &device.token, has_up_to);
    let Ok(Ok(mut stream)) = timeout(SILENT_FOR, opening).await else {
        return;
    };
    if stream.status != 200 {
        if stream.status != 503 {
            fixture.event_log.report(format!(
                "node {node} answers {} with {}",
                device.id, stream.status
            ));
        }
        return;
    }
    while let Ok(Some(item)) = timeout(SILENT_FOR, stream.next()).await {
        if let SseItem::Push(push) = item {
            if push.data["sequence"] != push.id {
                fixture
                    .event_log
                    .report(format!("the event {} has {}", push.id, push.data));
            }
            if !inbox.put(push.data) {
                return;
            }
        }
    }
}

async fn poll(fixture: &Fixture, device: usize, node: usize, inbox: &Inbox) {
    let device = &fixture.devices[device];
    let path = format!("/v1/devices/{}/pushes?wait_s={POLL_WAIT_S}", device.id);
    while let Some((_, answer)) = fixture
        .call(node, Method::GET, &path, &device.token, &Value::Null)
        .await
    {
        for push in answer["items"].as_array().into_iter().flatten() {
            if !inbox.put(push.clone()) {
                return;
            }
        }
    }
}

async fn subscribe(
    fixture: &Fixture,
    device: usize,
    inbox: &Inbox,
    mut said: mpsc::UnboundedReceiver<String>,
) {
    let device = &fixture.devices[device];
    let connecting = async {
        if device.keeps_session() {
            MqttDevice::resume(&fixture.broker, &device.id).await
        } else {
            MqttDevice::connect(&fixture.broker, &device.id).await
        }
    };
    let Ok(mut device) = timeout(SILENT_FOR, connecting).await else {
        return;
    };
    loop {
        tokio::select! {
            push = device.next() => if !inbox.put(push.data) {
                return;
            },
            Some(body) = said.recv() => device.send_and_forget(&body),
        }
    }
}
