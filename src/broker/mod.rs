//! The MQTT 5 broker; the only module that uses the client library. Maintains the connection, publishes messages with a
//! result for each, and forwards received messages. It does not interpret payloads.

mod address;
mod connection;
mod failure;
mod received;
mod session;
mod subscription;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, DisconnectProperties, DisconnectReasonCode, MqttOptions, NetworkOptions,
    PubAckReason, PublishOptions, PublishProperties, PublishResult, QoS, TlsConfiguration, Transport,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

pub use address::BrokerAddress;
pub use connection::Connection;
pub use received::ReceivedMessage;

use self::connection::Link;

/// Capacity of the queue to the connection task. It is small because messages age in it.
const QUEUE: usize = 64;
/// Maximum number of unacknowledged messages that the broker may send.
const UNCONFIRMED: u16 = 1_024;
/// Capacity of the queue of received messages. It is larger than [`UNCONFIRMED`], because that limit does not apply to
/// messages with `QoS` 0.
const RECEIVED: usize = 10_000;
/// Seconds that the broker keeps the session of a disconnected node: time for a restart. If the node does not return,
/// its share of the messages is withheld from the other nodes for this time.
const SESSION_S: u32 = 120;
/// Seconds without a packet after which the client pings the broker.
const KEEP_ALIVE_S: u16 = 15;
/// Maximum packet size in bytes that the broker may send, several times that of an acknowledgement. It is announced to
/// the broker, which then withholds larger packets. Otherwise a larger packet would end the connection.
const LARGEST_PACKET: u32 = 64 * 1024;
/// Upper bound of the bytes that a published packet adds to its topic and payload: headers and properties.
const PACKET_OVERHEAD: usize = 64;
/// Time limit for each step of a stop: the unsubscribe, and then the messages in flight.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Timeouts and waits of the connection.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// Time limit for the broker to acknowledge a message.
    acknowledged_within: Duration,
    /// Time limit for the broker to answer a subscription.
    subscribed_within: Duration,
    /// Wait before a refused subscription is retried: access rules can be corrected at any time.
    subscribe_again_after: Duration,
    /// First and longest wait before a reconnect.
    pauses: (Duration, Duration),
    /// Duration after which a connection counts as good and resets the backoff. It exceeds the longest wait, after
    /// which another process with the same client id would reconnect.
    good_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            acknowledged_within: Duration::from_secs(30),
            subscribed_within: Duration::from_secs(10),
            subscribe_again_after: Duration::from_secs(30),
            pauses: (Duration::from_millis(250), Duration::from_secs(15)),
            good_after: Duration::from_secs(20),
        }
    }
}

/// Address of the broker, and credentials for it.
#[derive(Clone)]
pub struct BrokerSettings {
    pub address: BrokerAddress,
    /// Id of this node, from which its client id is derived. No two running nodes may share it. If it is the same after
    /// a restart, the node gets the messages that the broker kept for it.
    pub node: Uuid,
    pub username: Option<String>,
    /// Ignored without a username.
    pub password: Option<String>,
    /// PEM certificates of the CAs that are trusted for the broker. If `None`, the CAs that the system trusts.
    pub ca: Option<Vec<u8>>,
}

/// Handle for publishing to the broker.
#[derive(Clone)]
pub struct Broker {
    client: AsyncClient,
    /// Topic filter that the node subscribes to.
    filter: String,
    link: watch::Receiver<Link>,
    /// Notified when the broker does not acknowledge a message in time.
    silence: Arc<Notify>,
    timing: Timing,
}

/// A text message, published at least once and not retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// JSON text.
    pub payload: String,
    /// Time after which the broker drops the message, in whole seconds.
    pub expires_in: Duration,
}

/// Acknowledgement of a message by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The broker accepted the message, and reported no missing subscriber.
    Accepted,
    /// The broker dropped the message, because nobody subscribes to its topic.
    NoSubscriber,
}

/// Reason why a message may not have reached the broker.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// There was no connection, or it broke before the broker acknowledged.
    #[error("the connection to the broker broke")]
    Disconnected,
    /// The broker refuses the message, e.g. because of its access rules.
    #[error("the broker refused the message: {0}")]
    Refused(String),
}

/// Settings with which no connection is possible.
#[derive(Debug, thiserror::Error)]
pub enum BrokerSettingsError {
    #[error("SLIPWAY_MQTT_CA_FILE must be a file with certificates in PEM: {0}")]
    Certificates(String),
    #[error("the certificates that the system trusts cannot be read ({0}); set SLIPWAY_MQTT_CA_FILE")]
    SystemCertificates(String),
    #[error("SLIPWAY_MQTT_URL cannot be used: {0}")]
    Options(String),
}

/// Parts of the broker connection before it connects.
pub struct BrokerParts {
    pub broker: Broker,
    /// Connects when it is run.
    pub connection: Connection,
    pub received: mpsc::Receiver<ReceivedMessage>,
}

/// Reads the file that `SLIPWAY_MQTT_CA_FILE` names.
pub fn read_certificates(path: &Path) -> Result<Vec<u8>, BrokerSettingsError> {
    let said = |why: String| BrokerSettingsError::Certificates(format!("{}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| said(error.to_string()))?;
    let marker: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if pem.windows(marker.len()).any(|window| window == marker) {
        Ok(pem)
    } else {
        Err(said("it holds no certificate".to_owned()))
    }
}

/// Prepares a connection. It subscribes to `filter` each time it is established.
pub fn prepare(settings: BrokerSettings, filter: &str) -> Result<BrokerParts, BrokerSettingsError> {
    prepare_with(settings, filter, Timing::default())
}

fn prepare_with(
    settings: BrokerSettings,
    filter: &str,
    timing: Timing,
) -> Result<BrokerParts, BrokerSettingsError> {
    let (client, events) = AsyncClient::builder(options(settings)?)
        .capacity(QUEUE)
        .try_build()
        .map_err(|error| BrokerSettingsError::Options(error.to_string()))?;
    let (link_sender, link) = watch::channel(Link::default());
    let (sender, received) = mpsc::channel(RECEIVED);
    let broker = Broker {
        client,
        filter: filter.to_owned(),
        link,
        silence: Arc::default(),
        timing,
    };
    Ok(BrokerParts {
        connection: Connection::new(broker.clone(), events, link_sender, sender),
        broker,
        received,
    })
}

fn options(settings: BrokerSettings) -> Result<MqttOptions, BrokerSettingsError> {
    let address = settings.address;
    let mut options = MqttOptions::new(client_id(settings.node), (address.host, address.port));
    // Messages are small and infrequent, so Nagle's algorithm would only delay them.
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options.set_keep_alive(KEEP_ALIVE_S);
    options.set_ack_mode(AckMode::Manual);
    options.set_receive_maximum(Some(UNCONFIRMED));
    options.set_max_packet_size(Some(LARGEST_PACKET));
    match (settings.username, settings.password) {
        (Some(username), Some(password)) => {
            options.set_credentials(username, password);
        }
        (Some(username), None) => {
            options.set_username(username);
        }
        (None, _) => {}
    }
    if address.is_secure {
        options.set_transport(Transport::tls_with_config(tls(settings.ca)?));
    }
    Ok(options)
}

fn client_id(node: Uuid) -> String {
    format!("slipway-{}", node.simple())
}

fn tls(ca: Option<Vec<u8>>) -> Result<TlsConfiguration, BrokerSettingsError> {
    if let Some(ca) = ca {
        let (alpn, client_auth) = (None, None);
        return Ok(TlsConfiguration::Simple {
            ca,
            alpn,
            client_auth,
        });
    }
    TlsConfiguration::try_default_rustls()
        .map_err(|error| BrokerSettingsError::SystemCertificates(error.to_string()))
}

impl Broker {
    pub fn is_connected(&self) -> bool {
        self.link.borrow().is_ready
    }

    /// True if messages from devices arrive.
    pub fn is_subscribed(&self) -> bool {
        self.link.borrow().is_subscribed
    }

    /// Waits until there is a connection. Never returns if no connection is possible any longer.
    pub async fn connected(&self) {
        let mut link = self.link.clone();
        if link.wait_for(|link| link.is_ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Publishes a message and returns the answer of the broker. Waits at most 30 seconds. Fails immediately without a
    /// connection, so that no message becomes outdated in the queue.
    pub async fn publish(&self, message: Message) -> Result<Receipt, PublishError> {
        let link = *self.link.borrow();
        if !link.is_ready {
            return Err(PublishError::Disconnected);
        }
        require_size(&message, link.largest_packet)?;
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            message_expiry_interval: Some(whole_seconds(message.expires_in)),
            content_type: Some("application/json".to_owned()),
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let said = timeout(self.timing.acknowledged_within, async {
            let notice = self
                .client
                .publish_tracked(message.topic, message.payload, options)
                .await
                .map_err(|error| PublishError::Refused(error.to_string()))?;
            // The other errors only concern features that are not used: retained messages, aliases and other `QoS`
            // levels.
            notice.wait_async().await.map_err(|_| PublishError::Disconnected)
        });
        let Ok(said) = said.await else {
            if self.link.borrow().number == link.number {
                self.silence.notify_one();
            }
            return Err(PublishError::Disconnected);
        };
        match said? {
            PublishResult::Qos1(said) => match said.reason {
                PubAckReason::Success => Ok(Receipt::Accepted),
                PubAckReason::NoMatchingSubscribers => Ok(Receipt::NoSubscriber),
                reason => Err(PublishError::Refused(format!("{reason:?}"))),
            },
            other => Err(PublishError::Refused(format!("unexpected {other:?}"))),
        }
    }

    /// Unsubscribes, so that the broker sends further messages to other nodes. Returns after the answer or a time
    /// limit.
    pub async fn unsubscribe(&self) {
        if !self.is_connected() {
            return;
        }
        let agreed = timeout(LEAVE_WITHIN, async {
            let notice = self.client.unsubscribe_tracked(self.filter.as_str()).await;
            notice.ok()?.wait_async().await.ok()
        });
        if !matches!(agreed.await, Ok(Some(_))) {
            tracing::debug!("the broker may have sent messages that will not be processed");
        }
    }

    /// Finishes messages in flight, disconnects, and waits for the connection task within a time limit. The broker
    /// keeps unacknowledged messages for a limited time, or drops them if `is_for_good`.
    pub async fn disconnect(&self, mut connection: JoinHandle<()>, is_for_good: bool) {
        let properties = DisconnectProperties {
            session_expiry_interval: is_for_good.then_some(0),
            reason_string: None,
            user_properties: Vec::new(),
            server_reference: None,
        };
        let reason = DisconnectReasonCode::NormalDisconnection;
        if self.is_connected()
            && self
                .client
                .disconnect_with_properties_timeout(reason, properties, LEAVE_WITHIN)
                .await
                .is_ok()
        {
            // Slightly longer than the time limit of the library.
            let _ = timeout(LEAVE_WITHIN * 2, &mut connection).await;
        }
        connection.abort();
    }
}

/// Rejects a message that is larger than the broker accepts: the broker would end the connection, which carries all
/// messages.
fn require_size(message: &Message, largest: Option<u32>) -> Result<(), PublishError> {
    let size = message.topic.len() + message.payload.len() + PACKET_OVERHEAD;
    match largest.map(|largest| usize::try_from(largest).unwrap_or(usize::MAX)) {
        Some(largest) if size > largest => Err(PublishError::Refused(format!(
            "it is {size} bytes, and the broker takes {largest} (max_packet_size in Mosquitto)"
        ))),
        _ => Ok(()),
    }
}

/// Rounds down to seconds, but at least 1: with 0 the message would expire immediately.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}
