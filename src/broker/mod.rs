//! The MQTT 5 broker: the only room that knows the client library. It keeps the connection, publishes with an outcome
//! for each message, and hands on what comes in. What the messages are about is others' business.

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
pub use received::Received;

use self::connection::Link;

/// Messages that wait for the connection's task: few, since they age meanwhile.
const QUEUE: usize = 64;
/// Messages that the broker may hand over before it was told that those before are taken care of.
const UNCONFIRMED: u16 = 1_024;
/// Messages that came in and that nobody has taken yet. There are more than those above, since nothing holds back
/// what is sent without a guarantee (`QoS` 0).
const RECEIVED: usize = 10_000;
/// Seconds for which the broker keeps for a node what it could not hand over: time for a restart. Meanwhile a node
/// that does not come back keeps its share of the messages from the others.
const SESSION_S: u32 = 120;
/// Seconds without a packet after which the broker is asked whether it is there.
const KEEP_ALIVE_S: u16 = 15;
/// The largest packet that the broker may send, in bytes: several times what an acknowledgement can be. It is told so,
/// and keeps larger ones back; without that, one of them would end the connection.
const LARGEST_PACKET: u32 = 64 * 1024;
/// Bytes that a published packet has beside its topic and payload, at most: headers and properties.
const PACKET_OVERHEAD: usize = 64;
/// How long a stop waits for the broker to send no more, and then for what is in flight.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// How patient the connection is.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// The broker has this long to acknowledge a message.
    acknowledged_within: Duration,
    /// The broker has this long to answer a subscription.
    subscribed_within: Duration,
    /// A refused subscription is tried again after this long: access rules can be corrected at any time.
    subscribe_again_after: Duration,
    /// The first and the longest pause before it connects again.
    pauses: (Duration, Duration),
    /// A connection that lasted so long was a good one: the next failure is the first again. Longer than the longest
    /// pause, after which another process with the same client id would be back.
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

/// Where the broker is, and how to get in.
#[derive(Clone)]
pub struct BrokerSettings {
    pub address: BrokerAddress,
    /// What this node is called there. No two may have the same name at a time; one that is the same after a restart
    /// gets what the broker kept for it.
    pub node: Uuid,
    pub username: Option<String>,
    /// Counts with a username only.
    pub password: Option<String>,
    /// Certificates in PEM that a broker's must descend from; absent: those that the system trusts.
    pub ca: Option<Vec<u8>>,
}

/// What publishes.
#[derive(Clone)]
pub struct Broker {
    client: AsyncClient,
    /// What the node subscribes to.
    filter: String,
    link: watch::Receiver<Link>,
    /// Notified when the broker does not acknowledge a message.
    silence: Arc<Notify>,
    timing: Timing,
}

/// A message to publish: text, at least once, not retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// JSON.
    pub payload: String,
    /// The broker forgets the message after so long, in whole seconds.
    pub expires_in: Duration,
}

/// What the broker said of a message that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It has the message, for somebody as far as it says.
    Taken,
    /// Nobody has subscribed, so that it threw the message away.
    NobodySubscribed,
}

/// Why a message may not have got there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The connection broke before the broker acknowledged, or there was none.
    #[error("the connection to the broker broke")]
    Disconnected,
    /// The broker does not want it, e.g. because its access rules forbid it.
    #[error("the broker refused the message: {0}")]
    Refused(String),
}

/// Why there can be no connection, whatever the broker does.
#[derive(Debug, thiserror::Error)]
pub enum BrokerSettingsError {
    #[error("SLIPWAY_MQTT_CA_FILE must be a file with certificates in PEM: {0}")]
    Certificates(String),
    #[error("the certificates that the system trusts cannot be read ({0}); set SLIPWAY_MQTT_CA_FILE")]
    SystemCertificates(String),
    #[error("SLIPWAY_MQTT_URL cannot be used: {0}")]
    Options(String),
}

/// What a node has of the broker before it connects.
pub struct Prepared {
    pub broker: Broker,
    /// Connects once it is run.
    pub connection: Connection,
    pub received: mpsc::Receiver<Received>,
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

/// Prepares a connection; `filter` is subscribed to whenever it is made.
pub fn prepare(settings: BrokerSettings, filter: &str) -> Result<Prepared, BrokerSettingsError> {
    prepare_with(settings, filter, Timing::default())
}

fn prepare_with(
    settings: BrokerSettings,
    filter: &str,
    timing: Timing,
) -> Result<Prepared, BrokerSettingsError> {
    let (client, events) = AsyncClient::builder(options(settings)?)
        .capacity(QUEUE)
        .try_build()
        .map_err(|error| BrokerSettingsError::Options(error.to_string()))?;
    let (told, link) = watch::channel(Link::default());
    let (sender, received) = mpsc::channel(RECEIVED);
    let broker = Broker {
        client,
        filter: filter.to_owned(),
        link,
        silence: Arc::default(),
        timing,
    };
    Ok(Prepared {
        connection: Connection::new(broker.clone(), events, (told, sender)),
        broker,
        received,
    })
}

fn options(settings: BrokerSettings) -> Result<MqttOptions, BrokerSettingsError> {
    let address = settings.address;
    let mut options = MqttOptions::new(client_id(settings.node), (address.host, address.port));
    // Messages are small and far between: none waits until the one before it is confirmed.
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

    /// True if devices' messages arrive.
    pub fn is_subscribed(&self) -> bool {
        self.link.borrow().is_subscribed
    }

    /// Returns once there is a connection; never when there will be none any more.
    pub async fn connected(&self) {
        let mut link = self.link.clone();
        if link.wait_for(|link| link.is_ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Publishes a message and returns what the broker said, after half a minute at most; at once where there is no
    /// connection, so that nothing waits here until it is out of date.
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
            // The only other reasons are about what is never sent: retained messages, aliases, other guarantees.
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
                PubAckReason::Success => Ok(Receipt::Taken),
                PubAckReason::NoMatchingSubscribers => Ok(Receipt::NobodySubscribed),
                reason => Err(PublishError::Refused(format!("{reason:?}"))),
            },
            other => Err(PublishError::Refused(format!("unexpected {other:?}"))),
        }
    }

    /// Asks the broker for no more messages, and returns when it has agreed or would not. Then it gives them to others.
    pub async fn unsubscribe(&self) {
        if !self.is_connected() {
            return;
        }
        let agreed = timeout(LEAVE_WITHIN, async {
            let notice = self.client.unsubscribe_tracked(self.filter.as_str()).await;
            notice.ok()?.wait_async().await.ok()
        });
        if !matches!(agreed.await, Ok(Some(_))) {
            tracing::debug!("the broker may have sent messages that are not heard any more");
        }
    }

    /// Lets what is in flight finish, says goodbye, and returns when the connection's task has ended or would not. What
    /// was not confirmed the broker keeps for a while, unless it `is_for_good`.
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
            // A little more than the library takes.
            let _ = timeout(LEAVE_WITHIN * 2, &mut connection).await;
        }
        connection.abort();
    }
}

/// A larger packet than the broker takes would end the connection, and everybody's messages with it.
fn require_size(message: &Message, largest: Option<u32>) -> Result<(), PublishError> {
    let size = message.topic.len() + message.payload.len() + PACKET_OVERHEAD;
    match largest.map(|largest| usize::try_from(largest).unwrap_or(usize::MAX)) {
        Some(largest) if size > largest => Err(PublishError::Refused(format!(
            "it is {size} bytes, and the broker takes {largest} (max_packet_size in Mosquitto)"
        ))),
        _ => Ok(()),
    }
}

/// At least one, since 0 would be no time at all.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}
