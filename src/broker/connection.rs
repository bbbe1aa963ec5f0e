//! The connection's task: it connects, connects again after a while, and hands on what comes in.

use std::time::Duration;

use metrics::{Counter, counter};
use rumqttc::{ConnectionError, Event, EventLoop, Packet, Publish, QoS, SubAck, SubscribeReasonCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::{Broker, Received, UNCONFIRMED};
use crate::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A connection that lasted so long was a good one: the next failure is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// How the connection stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Another one for each connection, and for the time without one.
    pub(super) number: u64,
    /// It is there, and subscribed.
    pub(super) is_ready: bool,
}

/// A connection to the broker.
pub struct Connection {
    broker: Broker,
    events: EventLoop,
    link: watch::Sender<Link>,
    received: mpsc::Sender<Received>,
    lost: Counter,
    connected_at: Option<Instant>,
    backoff: Backoff,
}

impl Connection {
    pub(super) fn new(
        broker: Broker,
        events: EventLoop,
        (link, received): (watch::Sender<Link>, mpsc::Sender<Received>),
    ) -> Self {
        Self {
            broker,
            events,
            link,
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
        self.begin_link();
    }

    /// From now on what the link before brought cannot be confirmed.
    fn begin_link(&self) {
        self.link.send_modify(|link| {
            link.number += 1;
            link.is_ready = false;
        });
    }

    /// Each time, since the broker may not have kept the session.
    fn subscribe(&self) {
        self.begin_link();
        let filter = self.broker.filter.as_str();
        if let Err(error) = self.broker.client.try_subscribe(filter, QoS::AtLeastOnce) {
            tracing::error!(%error, filter, "the broker cannot be subscribed at");
        }
    }

    /// Only now the node is ready for what its messages bring about.
    fn subscribed(&mut self, said: &SubAck) {
        let is_success = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
        if !said.return_codes.iter().all(is_success) {
            tracing::error!(
                said = ?said.return_codes, filter = self.broker.filter,
                "the broker refuses the subscription; what devices acknowledge over MQTT is not heard"
            );
        }
        tracing::info!("connected to the MQTT broker");
        self.connected_at = Some(Instant::now());
        self.link.send_modify(|link| link.is_ready = true);
    }

    fn receive(&self, publish: Publish) {
        // There is always room for what the broker waits for.
        let has_room = publish.qos != QoS::AtMostOnce || self.received.capacity() > usize::from(UNCONFIRMED);
        let received = Received::new(publish, &self.broker);
        if !has_room || self.received.try_send(received).is_err() {
            self.lost.increment(1);
        }
    }

    /// What the broker has not acknowledged by now is told to its publishers, and begun anew by them.
    fn disconnected(&mut self, error: &ConnectionError) {
        self.events.reset_session_state();
        self.begin_link();
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
