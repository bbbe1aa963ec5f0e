//! A device's line to a node, whichever channel it is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::ground::{Channel, Ground};
use crate::support::mqtt_device::MqttDevice;
use crate::support::sse::{SseItem, SseStream};

/// A stream that is silent for so long is given up: there should have been several comments.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// Less than a caller waits for an answer.
const POLL_WAIT_S: u32 = 1;

/// Cut when dropped.
pub(super) struct Connection {
    pushes: mpsc::UnboundedReceiver<Value>,
    acknowledgements: mpsc::UnboundedSender<String>,
    task: AbortHandle,
}

impl Connection {
    /// Connects a device to a node. `has_up_to` is the sequence up to which the device says it has everything.
    pub(super) fn open(ground: Arc<Ground>, device: usize, node: usize, has_up_to: Option<i64>) -> Self {
        let (sender, pushes) = mpsc::unbounded_channel();
        let (acknowledgements, said) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            match ground.devices[device].channel {
                Channel::Events => listen(&ground, device, node, has_up_to, &sender).await,
                Channel::Poll => poll(&ground, device, node, &sender).await,
                Channel::Mqtt => subscribe(&ground, device, &sender, said).await,
            }
        });
        Self {
            pushes,
            acknowledgements,
            task: task.abort_handle(),
        }
    }

    /// The next push; `None` once the line is down.
    pub(super) async fn next(&mut self) -> Option<Value> {
        self.pushes.recv().await
    }

    /// Says something of a push over the line itself, which only MQTT's can. Nobody answers.
    pub(super) fn say(&self, body: String) {
        // A line that is down loses it.
        let _ = self.acknowledgements.send(body);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    ground: &Ground,
    device: usize,
    node: usize,
    has_up_to: Option<i64>,
    sender: &mpsc::UnboundedSender<Value>,
) {
    let device = &ground.devices[device];
    let url = ground.url(node);
    let opening = SseStream::try_open("GET", &url, &device.id, &device.token, has_up_to);
    let Ok(Ok(mut stream)) = timeout(SILENT_FOR, opening).await else {
        return;
    };
    if stream.status != 200 {
        if stream.status != 503 {
            ground.story.report(format!(
                "node {node} answers {} with {}",
                device.id, stream.status
            ));
        }
        return;
    }
    while let Ok(Some(item)) = timeout(SILENT_FOR, stream.next()).await {
        if let SseItem::Push(push) = item {
            if push.data["sequence"] != push.id {
                ground
                    .story
                    .report(format!("the event {} has {}", push.id, push.data));
            }
            if sender.send(push.data).is_err() {
                return;
            }
        }
    }
}

async fn poll(ground: &Ground, device: usize, node: usize, sender: &mpsc::UnboundedSender<Value>) {
    let device = &ground.devices[device];
    let path = format!("/v1/devices/{}/pushes?wait_s={POLL_WAIT_S}", device.id);
    while let Some((_, answer)) = ground
        .call(node, Method::GET, &path, &device.token, &Value::Null)
        .await
    {
        for push in answer["items"].as_array().into_iter().flatten() {
            if sender.send(push.clone()).is_err() {
                return;
            }
        }
    }
}

async fn subscribe(
    ground: &Ground,
    device: usize,
    sender: &mpsc::UnboundedSender<Value>,
    mut said: mpsc::UnboundedReceiver<String>,
) {
    let connecting = MqttDevice::connect(&ground.broker, &ground.devices[device].id);
    let Ok(mut device) = timeout(SILENT_FOR, connecting).await else {
        return;
    };
    loop {
        tokio::select! {
            push = device.next() => if sender.send(push.data).is_err() {
                return;
            },
            Some(body) = said.recv() => device.send_and_forget(&body),
        }
    }
}
