//! The connection's task: it connects, connects again after a while, and hands on what comes in.

use std::time::Duration;

use metrics::{Counter, counter};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, NoticeFailureReason, Packet, Publish, QoS, SubAck,
    SubscribeReasonCode,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::Received;
use crate::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A connection that lasted so long was a good one: the next failure is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// A connection to the broker.
pub struct Connection {
    client: AsyncClient,
    events: EventLoop,
    filter: String,
    connected: watch::Sender<bool>,
    received: mpsc::Sender<Received>,
    lost: Counter,
    connected_at: Option<Instant>,
    backoff: Backoff,
}

impl Connection {
    pub(super) fn new(
        client: AsyncClient,
        events: EventLoop,
        filter: String,
        (connected, received): (watch::Sender<bool>, mpsc::Sender<Received>),
    ) -> Self {
        Self {
            client,
            events,
            filter,
            connected,
            received,
            lost: counter!("slipway_mqtt_received_lost_total"),
            connected_at: None,
            backoff: Backoff::between(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Runs until it is told to disconnect.
    pub async fn run(mut self) {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => self.subscribe(),
                Ok(Event::Incoming(Packet::SubAck(said))) => self.subscribed(&said),
                Ok(Event::Incoming(Packet::Publish(publish))) => self.receive(publish),
                Ok(_) => {}
                Err(ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout) => break,
                Err(error) => {
                    self.disconnected(&error);
                    sleep(self.backoff.next()).await;
                }
            }
        }
        self.connected.send_replace(false);
    }

    /// The session begins anew with each connection, and so must the subscription.
    fn subscribe(&self) {
        let subscribed = self.client.try_subscribe(self.filter.as_str(), QoS::AtLeastOnce);
        if let Err(error) = subscribed {
            tracing::error!(%error, filter = self.filter, "the broker cannot be subscribed at");
        }
    }

    /// Only now the node is ready for what its messages bring about.
    fn subscribed(&mut self, said: &SubAck) {
        let is_success = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
        if !said.return_codes.iter().all(is_success) {
            tracing::error!(
                said = ?said.return_codes, filter = self.filter,
                "the broker refuses the subscription; what devices acknowledge over MQTT is not heard"
            );
        }
        tracing::info!("connected to the MQTT broker");
        self.connected_at = Some(Instant::now());
        self.connected.send_replace(true);
    }

    fn receive(&self, publish: Publish) {
        let received = Received {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
        };
        if self.received.try_send(received).is_err() {
            self.lost.increment(1);
        }
    }

    /// What the broker has not acknowledged by now is told to its publishers.
    fn disconnected(&mut self, error: &ConnectionError) {
        self.events
            .drain_pending_as_failed(NoticeFailureReason::SessionReset);
        self.connected.send_replace(false);
        let connected_at = self.connected_at.take();
        if connected_at.is_some_and(|at| at.elapsed() >= GOOD_AFTER) {
            self.backoff.reset();
        }
        if connected_at.is_some() || self.backoff.is_fresh() {
            tracing::warn!(%error, "there is no connection to the MQTT broker; it is tried again");
        } else {
            tracing::debug!(%error, "the MQTT broker cannot be reached yet");
        }
    }
}
