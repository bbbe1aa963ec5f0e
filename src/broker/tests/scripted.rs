//! A broker that follows the script of a test, and a node connected to it.

use std::time::Duration;

use bytes::BytesMut;
use rumqttc::QoS;
use rumqttc::mqttbytes::v5::{
    ConnAck, ConnAckProperties, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck,
    SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::broker::connection::Link;
use crate::broker::{
    Broker, BrokerParts, BrokerSettings, Message, PublishError, Receipt, ReceivedMessage, Timing,
    prepare_with,
};
use crate::random;

const DEADLINE: Duration = Duration::from_mins(1);
const TIMING: Timing = Timing {
    acknowledged_within: Duration::from_millis(300),
    subscribed_within: Duration::from_millis(300),
    subscribe_again_after: Duration::from_millis(50),
    pauses: (Duration::from_millis(1), Duration::from_millis(10)),
    // Longer than any connection of these tests.
    good_after: Duration::from_mins(10),
};

pub(super) struct ScriptedBroker {
    listener: TcpListener,
}

/// The broker's end of a connection.
pub(super) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    connect: Connect,
}

pub(super) struct Node {
    pub(super) broker: Broker,
    received: mpsc::Receiver<ReceivedMessage>,
    connection: JoinHandle<()>,
}

impl ScriptedBroker {
    pub(super) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    /// Accepts the next client and reads its CONNECT packet.
    pub(super) async fn accept(&self) -> Client {
        let (stream, _) = timeout(DEADLINE, self.listener.accept()).await.unwrap().unwrap();
        let mut buffer = BytesMut::new();
        let mut stream = stream;
        let Packet::Connect(connect, ..) = read(&mut stream, &mut buffer).await else {
            panic!("the first packet is no CONNECT");
        };
        Client {
            stream,
            buffer,
            connect,
        }
    }
}

impl Client {
    pub(super) fn client_id(&self) -> &str {
        &self.connect.client_id
    }

    pub(super) const fn starts_clean(&self) -> bool {
        self.connect.clean_start
    }

    /// True if the client requests a session that outlasts the connection.
    pub(super) fn is_kept(&self) -> bool {
        let properties = self.connect.properties.as_ref();
        properties.and_then(|properties| properties.session_expiry_interval) > Some(0)
    }

    pub(super) async fn accept_session(&mut self, session_present: bool) {
        self.answer(session_present, ConnectReturnCode::Success, None)
            .await;
    }

    pub(super) async fn accept_packets_up_to(&mut self, bytes: u32) {
        let limits = ConnAckProperties {
            max_packet_size: Some(bytes),
            ..no_limits()
        };
        self.answer(false, ConnectReturnCode::Success, Some(limits)).await;
    }

    pub(super) async fn refuse(&mut self, code: ConnectReturnCode) {
        self.answer(false, code, None).await;
    }

    async fn answer(
        &mut self,
        session_present: bool,
        code: ConnectReturnCode,
        properties: Option<ConnAckProperties>,
    ) {
        self.send(&Packet::ConnAck(ConnAck {
            session_present,
            code,
            properties,
        }))
        .await;
    }

    pub(super) async fn answer_subscription(&mut self, code: SubscribeReasonCode) {
        let Packet::Subscribe(subscribe) = self.read().await else {
            panic!("it does not subscribe");
        };
        self.send(&Packet::SubAck(SubAck {
            pkid: subscribe.pkid,
            return_codes: vec![code],
            properties: None,
        }))
        .await;
    }

    /// Acknowledges the next message that the node publishes.
    pub(super) async fn acknowledge(&mut self) {
        let Packet::Publish(publish) = self.read().await else {
            panic!("it does not publish");
        };
        self.send(&Packet::PubAck(PubAck::new(publish.pkid, None))).await;
    }

    /// Sends a message to the node.
    pub(super) async fn send_message(&mut self, number: u16) {
        let mut publish = Publish::new("slipway/1/devices/A/acks", QoS::AtLeastOnce, "{}", None);
        publish.pkid = number;
        self.send(&Packet::Publish(publish)).await;
    }

    /// Returns the packet identifier of the next message that the node acknowledges.
    pub(super) async fn confirmed_message(&mut self) -> u16 {
        match self.read().await {
            Packet::PubAck(acknowledgement) => acknowledgement.pkid,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn read(&mut self) -> Packet {
        read(&mut self.stream, &mut self.buffer).await
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Packet {
    loop {
        if let Ok(packet) = Packet::read(buffer, None) {
            return packet;
        }
        let count = timeout(DEADLINE, stream.read_buf(buffer)).await.unwrap().unwrap();
        assert_ne!(count, 0, "the node hung up");
    }
}

fn no_limits() -> ConnAckProperties {
    ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

impl Node {
    pub(super) fn start(broker: &ScriptedBroker) -> Self {
        let address = broker.listener.local_addr().unwrap();
        let settings = BrokerSettings {
            address: format!("mqtt://{address}").parse().unwrap(),
            node: random::uuid(),
            username: None,
            password: None,
            ca: None,
        };
        let prepared = prepare_with(settings, "$share/slipway/slipway/+/devices/+/acks", TIMING);
        let BrokerParts {
            broker,
            mut connection,
            received,
        } = prepared.unwrap();
        Self {
            broker,
            received,
            connection: tokio::spawn(async move { connection.run().await }),
        }
    }

    pub(super) async fn publish(&self, payload: &str) -> Result<Receipt, PublishError> {
        let message = Message {
            topic: "slipway/1/devices/A/pushes".to_owned(),
            payload: payload.to_owned(),
            expires_in: DEADLINE,
        };
        self.broker.publish(message).await
    }

    pub(super) async fn received(&mut self) -> ReceivedMessage {
        timeout(DEADLINE, self.received.recv()).await.unwrap().unwrap()
    }

    pub(super) async fn becomes_ready(&self) {
        self.becomes(|link| link.is_ready).await;
    }

    pub(super) async fn becomes_subscribed(&self) {
        self.becomes(|link| link.is_subscribed).await;
    }

    pub(super) async fn becomes_disconnected(&self) {
        self.becomes(|link| !link.is_ready).await;
    }

    async fn becomes(&self, is_so: impl Fn(&Link) -> bool) {
        let mut link = self.broker.link.clone();
        let waiting = link.wait_for(|link| is_so(link));
        timeout(DEADLINE, waiting).await.unwrap().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
