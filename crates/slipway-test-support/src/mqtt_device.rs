//! A device that receives its pushes over MQTT.

use std::time::Duration;

use futures_util::future::BoxFuture;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, PersistedAckMode, PersistedSession, PubAckReason,
    PublishOptions, PublishResult, QoS, SessionStore, SessionStoreError, SessionStoreKey, TlsConfiguration,
    Transport,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::mosquitto::{Mosquitto, password_of, username_of};

/// Time limit for a message.
const DEADLINE: Duration = Duration::from_mins(1);
/// Expiry of a session in seconds, longer than any test.
const SESSION_KEPT_S: u32 = 3_600;

/// A device of the usual tenant. It reconnects by itself.
pub struct MqttDevice {
    client: AsyncClient,
    topics: String,
    messages: mpsc::UnboundedReceiver<MqttPush>,
    /// Number of subscriptions so far; each connection subscribes once.
    subscriptions: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// Session state of a device that stores nothing, while its broker keeps the session. The library resumes a session
/// only if it can load a state, and then neither subscribes nor publishes again.
#[derive(Debug)]
struct ForgottenSession;

type Stored<'a, T> = BoxFuture<'a, Result<T, SessionStoreError>>;

impl SessionStore for ForgottenSession {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(SESSION_KEPT_S),
            outgoing_inflight_upper_limit: None,
            ack_mode: PersistedAckMode::Automatic,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A received push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttPush {
    pub data: Value,
    /// Remaining lifetime in seconds.
    pub expires_in: Option<u32>,
}

impl MqttPush {
    pub fn push_id(&self) -> &str {
        self.data["push_id"].as_str().unwrap()
    }
}

impl Drop for MqttDevice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MqttDevice {
    /// Connects and subscribes to the device's pushes. `topic_id` is the device's id as it appears in topics.
    pub async fn connect(broker: &Mosquitto, topic_id: &str) -> Self {
        Self::subscribe(broker, topic_id, topic_id).await
    }

    /// Connects like [`Self::connect`], with a session in which the broker keeps messages while the device is away.
    pub async fn resume(broker: &Mosquitto, topic_id: &str) -> Self {
        let mut options = MqttOptions::new(format!("device-{topic_id}"), ("127.0.0.1", broker.port()));
        options.set_clean_start(false);
        options.set_session_expiry_interval(Some(SESSION_KEPT_S));
        options.set_session_store(ForgottenSession);
        Self::start(broker, options, topic_id, topic_id).await
    }

    /// Connects, but subscribes to the pushes of another device.
    pub async fn subscribe(broker: &Mosquitto, topic_id: &str, of: &str) -> Self {
        let name = format!("device-{}", Uuid::new_v4().simple());
        let options = MqttOptions::new(name, ("127.0.0.1", broker.port()));
        Self::start(broker, options, topic_id, of).await
    }

    async fn start(broker: &Mosquitto, mut options: MqttOptions, topic_id: &str, of: &str) -> Self {
        if let Some(ca) = broker.ca_file() {
            let (ca, alpn, client_auth) = (std::fs::read(ca).unwrap(), None, None);
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Simple {
                ca,
                alpn,
                client_auth,
            }));
            let username = username_of(topic_id);
            let password = password_of(&username);
            options.set_credentials(username, password);
        }
        let (client, events) = AsyncClient::builder(options).capacity(100).build();
        let topics = format!("slipway/10000000/devices/{of}");
        let (sender, messages) = mpsc::unbounded_channel();
        let (subscribed, subscriptions) = watch::channel(0);
        let topic = format!("{topics}/pushes");
        let task = tokio::spawn(run(events, client.clone(), topic, sender, subscribed));
        let device = Self {
            client,
            topics,
            messages,
            subscriptions,
            task,
        };
        device.connected_after(0).await;
        device
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> u64 {
        *self.subscriptions.borrow()
    }

    /// Waits until the number of connections exceeds this number.
    pub async fn connected_after(&self, connections: u64) {
        let mut subscriptions = self.subscriptions.clone();
        let wait = subscriptions.wait_for(|now| *now > connections);
        timeout(DEADLINE, wait).await.unwrap().unwrap();
    }

    /// Returns the next push. Panics if none arrives in time.
    pub async fn push(&mut self) -> MqttPush {
        timeout(DEADLINE, self.next()).await.unwrap()
    }

    /// Returns the next push, without a time limit.
    pub async fn next(&mut self) -> MqttPush {
        self.messages.recv().await.unwrap()
    }

    /// Returns the next push if one has already arrived.
    pub fn try_next(&mut self) -> Option<MqttPush> {
        self.messages.try_recv().ok()
    }

    /// Acknowledges a push on the device's topic.
    pub async fn acknowledge(&self, push: &str, state: &str) {
        let body = json!({"push_id": push, "state": state}).to_string();
        assert_eq!(self.send(&body).await, PubAckReason::Success);
    }

    /// Publishes a body on the acknowledgement topic, and returns the broker's reason code.
    pub async fn send(&self, body: &str) -> PubAckReason {
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let sent = self
            .client
            .publish_tracked(self.acknowledgements(), body, options)
            .await
            .unwrap();
        match timeout(DEADLINE, sent.wait_async()).await.unwrap().unwrap() {
            PublishResult::Qos1(said) => said.reason,
            other => panic!("{other:?}"),
        }
    }

    /// Publishes a body on the acknowledgement topic without waiting for the broker, which may be down.
    pub fn send_and_forget(&self, body: &str) {
        let options = PublishOptions::new(QoS::AtLeastOnce);
        // If the queue is full, the message is lost.
        let _ = self
            .client
            .try_publish(self.acknowledgements(), body.to_owned(), options);
    }

    fn acknowledgements(&self) -> String {
        format!("{}/acks", self.topics)
    }
}

async fn run(
    mut events: EventLoop,
    client: AsyncClient,
    topic: String,
    messages: mpsc::UnboundedSender<MqttPush>,
    subscribed: watch::Sender<u64>,
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                client.try_subscribe(topic.as_str(), QoS::AtLeastOnce).unwrap();
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                subscribed.send_modify(|times| *times += 1);
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let properties = publish.properties.unwrap_or_default();
                // The test may have ended.
                let _ = messages.send(MqttPush {
                    data: serde_json::from_slice(&publish.payload).unwrap(),
                    expires_in: properties.message_expiry_interval,
                });
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
