//! The MQTT 5 broker: the only room that knows the client library. It keeps the connection, publishes with an outcome
//! for each message, and hands on what comes in. What the messages are about is others' business.

mod address;
mod connection;

use std::path::Path;
use std::time::Duration;

use rumqttc::{
    AsyncClient, MqttOptions, PubAckReason, PublishOptions, PublishProperties, PublishResult, QoS,
    TlsConfiguration, Transport,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

pub use address::BrokerAddress;
pub use connection::Connection;

/// Messages that wait for the connection's task.
const QUEUE: usize = 1_024;
/// Messages that came in and that nobody has taken yet.
const RECEIVED: usize = 10_000;
/// Seconds without a packet after which the broker is asked whether it is there.
const KEEP_ALIVE_S: u16 = 15;
/// The largest packet that the broker may send, in bytes: several times what an acknowledgement can be. It is told so,
/// and keeps larger ones back; without that, one of them would end the connection.
const LARGEST_PACKET: u32 = 64 * 1024;
/// How long the broker may take to acknowledge.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// How long a stop waits for what is in flight.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where the broker is, and how to get in.
#[derive(Clone)]
pub struct BrokerSettings {
    pub address: BrokerAddress,
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
    is_connected: watch::Receiver<bool>,
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
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
pub struct Link {
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

/// Prepares a connection. `node` tells this run of a node from every other; `filter` is subscribed to whenever the
/// connection is made.
pub fn link(settings: BrokerSettings, node: Uuid, filter: &str) -> Result<Link, BrokerSettingsError> {
    let (client, events) = AsyncClient::builder(options(settings, node)?)
        .capacity(QUEUE)
        .try_build()
        .map_err(|error| BrokerSettingsError::Options(error.to_string()))?;
    let (connected, is_connected) = watch::channel(false);
    let (sender, received) = mpsc::channel(RECEIVED);
    let connection = Connection::new(client.clone(), events, filter.to_owned(), (connected, sender));
    Ok(Link {
        broker: Broker { client, is_connected },
        connection,
        received,
    })
}

fn options(settings: BrokerSettings, node: Uuid) -> Result<MqttOptions, BrokerSettingsError> {
    let address = settings.address;
    let mut options = MqttOptions::new(format!("slipway-{}", node.simple()), (address.host, address.port));
    options.set_keep_alive(KEEP_ALIVE_S);
    options.set_clean_start(true);
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
        *self.is_connected.borrow()
    }

    /// Returns once there is a connection; never when there will be none any more.
    pub async fn connected(&self) {
        let mut is_connected = self.is_connected.clone();
        if is_connected.wait_for(|is_connected| *is_connected).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Publishes a message and returns what the broker said, after half a minute at most.
    pub async fn publish(&self, message: Message) -> Result<Receipt, PublishError> {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            message_expiry_interval: Some(whole_seconds(message.expires_in)),
            content_type: Some("application/json".to_owned()),
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let said = timeout(ACKNOWLEDGED_WITHIN, async {
            let notice = self
                .client
                .publish_tracked(message.topic, message.payload, options)
                .await
                .map_err(|error| PublishError::Refused(error.to_string()))?;
            // The only other reasons are about what is never sent: retained messages, aliases, other guarantees.
            notice.wait_async().await.map_err(|_| PublishError::Disconnected)
        });
        match said.await.unwrap_or(Err(PublishError::Disconnected))? {
            PublishResult::Qos1(said) => match said.reason {
                PubAckReason::Success => Ok(Receipt::Taken),
                PubAckReason::NoMatchingSubscribers => Ok(Receipt::NobodySubscribed),
                reason => Err(PublishError::Refused(format!("{reason:?}"))),
            },
            other => Err(PublishError::Refused(format!("unexpected {other:?}"))),
        }
    }

    /// Lets what is in flight finish, says goodbye, and returns when the connection's task has ended or would not.
    pub async fn disconnect(&self, mut connection: JoinHandle<()>) {
        if self.is_connected()
            && self
                .client
                .disconnect_with_timeout(DISCONNECT_WITHIN)
                .await
                .is_ok()
        {
            // A little more than the library takes.
            let _ = timeout(DISCONNECT_WITHIN * 2, &mut connection).await;
        }
        connection.abort();
    }
}

/// At least one, since 0 would be no time at all.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}
