//! The connection task: connects, reconnects with backoff and forwards received messages.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics::{Counter, counter};
use rumqttc::{ConnAck, Event, EventLoop, NoticeFailureReason, Packet, Publish, QoS, SubAck};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::failure::{ConnectionFailure, FailureKind};
use super::session::Session;
use super::subscription::{Subscription, SubscriptionAction};
use super::{Broker, ReceivedMessage, UNCONFIRMED, session};
use crate::backoff::Backoff;
use crate::random;
use crate::timer;

/// Interval at which the log repeats the cause while the node is disconnected.
const LOG_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Number of consecutive connections that ended before they were ready, after which the session is discarded. The
/// session at the broker may be the cause.
const CLEAN_AFTER: u32 = 4;
/// Number of consecutive short connections with a kept session, after which the client id is changed. Another process
/// probably uses the same client id; not every broker reports that.
const RENAME_AFTER: u32 = 4;

/// The state of the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Incremented for each connection, and for each period without one.
    pub(super) number: u64,
    /// True if connected and the broker has answered the subscription.
    pub(super) is_ready: bool,
    /// True if the broker granted the subscription.
    pub(super) is_subscribed: bool,
    /// Maximum packet size that the broker accepts, in bytes.
    pub(super) largest_packet: Option<u32>,
}

/// A connection to the broker.
pub struct Connection {
    broker: Broker,
    events: EventLoop,
    link: watch::Sender<Link>,
    received: mpsc::Sender<ReceivedMessage>,
    lost: Counter,
    subscription: Subscription,
    connected_at: Option<Instant>,
    /// Number of consecutive connections that ended before they were ready.
    useless_connections: u32,
    /// Number of consecutive connections that were ready but ended soon.
    short_connections: u32,
    /// The next connection only discards the session, and then this node changes its client id.
    is_leaving: bool,
    backoff: Backoff,
    logged: Option<(FailureKind, Instant)>,
}

impl Connection {
    pub(super) fn new(
        broker: Broker,
        events: EventLoop,
        link: watch::Sender<Link>,
        received: mpsc::Sender<ReceivedMessage>,
    ) -> Self {
        let (first_pause, longest_pause) = broker.timing.pauses;
        Self {
            broker,
            events,
            link,
            received,
            lost: counter!("slipway_mqtt_received_lost_total"),
            subscription: Subscription::None,
            connected_at: None,
            useless_connections: 0,
            short_connections: 0,
            is_leaving: false,
            backoff: Backoff::between(first_pause, longest_pause),
            logged: None,
        }
    }

    /// Runs until a disconnect is requested.
    pub async fn run(&mut self) {
        let has_run_before = self.link.borrow().number > 0;
        if has_run_before {
            // The previous run may have stopped at any point of the protocol.
            self.events.clean();
            self.events
                .drain_pending_as_failed(NoticeFailureReason::SessionReset);
            self.begin_link(None);
        }
        self.prepare();
        loop {
            match self.next_event().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) if self.is_leaving => self.leave(),
                Ok(Event::Incoming(Packet::ConnAck(answer))) => self.connected(&answer),
                Ok(Event::Incoming(Packet::SubAck(answer))) => self.subscribed(&answer),
                Ok(Event::Incoming(Packet::Publish(publish))) => self.receive(publish),
                Ok(_) => {}
                Err(failure) if failure.is_end() => break,
                Err(failure) => {
                    self.disconnected(&failure);
                    sleep(self.backoff.next()).await;
                }
            }
        }
        self.begin_link(None);
    }

    /// Returns the next event of the connection, and drives the subscription meanwhile.
    async fn next_event(&mut self) -> Result<Event, ConnectionFailure> {
        let mut event = pin!(self.events.poll());
        loop {
            tokio::select! {
                biased;
                event = &mut event => return event.map_err(ConnectionFailure::Client),
                action = self.subscription.next_action(&self.broker.timing) => match action {
                    SubscriptionAction::GiveUp => return Err(ConnectionFailure::Timeout("the subscription")),
                    SubscriptionAction::Request => self.subscription.request(&self.broker),
                },
                () = self.broker.silence.notified(), if self.connected_at.is_some() => {
                    return Err(ConnectionFailure::Timeout("a publish"));
                }
            }
        }
    }

    /// Starts a new link. Messages of the previous link can no longer be acknowledged.
    fn begin_link(&self, largest_packet: Option<u32>) {
        self.link.send_modify(|link| {
            *link = Link {
                number: link.number + 1,
                is_ready: false,
                is_subscribed: false,
                largest_packet,
            };
        });
    }

    fn connected(&mut self, answer: &ConnAck) {
        session::stop_saving(&mut self.events);
        self.begin_link(
            answer
                .properties
                .as_ref()
                .and_then(|limits| limits.max_packet_size),
        );
        self.connected_at = Some(timer::runtime_now());
        // A timeout on the previous link says nothing about this connection.
        let _ = self.broker.silence.notified().now_or_never();
        if !answer.session_present {
            self.short_connections = 0;
        }
        let session = if answer.session_present { "resumed" } else { "new" };
        counter!("slipway_mqtt_connections_total", "session" => session).increment(1);
        tracing::info!(session, "connected to the MQTT broker");
        self.subscription.request(&self.broker);
    }

    /// Marks the link as ready: only after the subscription is answered can acknowledgements of publishes arrive.
    fn subscribed(&mut self, answer: &SubAck) {
        let is_granted = self.subscription.answered(answer);
        if is_granted {
            tracing::info!(filter = self.broker.filter, "subscribed at the MQTT broker");
        } else {
            tracing::error!(
                answer = ?answer.return_codes, filter = self.broker.filter,
                "the MQTT broker refuses the subscription: devices' acknowledgements over MQTT do not arrive; check the \
                 broker's access rules; the subscription will be retried"
            );
        }
        self.logged = None;
        self.link.send_modify(|link| {
            link.is_ready = true;
            link.is_subscribed = is_granted;
        });
    }

    fn receive(&self, publish: Publish) {
        // Messages that the broker keeps until they are acknowledged always have room.
        let has_room = publish.qos != QoS::AtMostOnce || self.received.capacity() > usize::from(UNCONFIRMED);
        let received = ReceivedMessage::new(publish, &self.broker);
        if !has_room || self.received.try_send(received).is_err() {
            self.lost.increment(1);
        }
    }

    /// Fails all publishes that the broker has not acknowledged, so that publishers retry them, and prepares the next
    /// connection.
    fn disconnected(&mut self, failure: &ConnectionFailure) {
        // Closes the connection if it is still open.
        self.events.clean();
        self.events
            .drain_pending_as_failed(NoticeFailureReason::SessionReset);
        let has_served = self.link.borrow().is_ready;
        self.begin_link(None);
        self.subscription = Subscription::None;
        let connected_for = self.connected_at.take().map(|at| at.elapsed());
        let kind = failure.kind(connected_for.is_some());
        counter!("slipway_mqtt_connection_failures_total", "reason" => kind.as_str()).increment(1);
        self.log(failure, kind, connected_for.is_some());
        if let Some(duration) = connected_for {
            self.count(duration, has_served);
        }
        if kind == FailureKind::TakenOver {
            self.rename();
        } else if self.short_connections >= RENAME_AFTER {
            self.is_leaving = true;
        }
        self.prepare();
    }

    fn count(&mut self, duration: Duration, has_served: bool) {
        if duration >= self.broker.timing.good_after {
            self.backoff.reset();
            (self.useless_connections, self.short_connections) = (0, 0);
        } else if has_served {
            self.useless_connections = 0;
            self.short_connections += 1;
        } else {
            self.useless_connections += 1;
        }
    }

    fn log(&mut self, failure: &ConnectionFailure, kind: FailureKind, was_connected: bool) {
        let is_repeat = self
            .logged
            .is_some_and(|(logged, at)| logged == kind && at.elapsed() < LOG_AGAIN_AFTER);
        if is_repeat && !was_connected {
            tracing::debug!(error = %failure, "still no connection to the MQTT broker");
            return;
        }
        self.logged = Some((kind, timer::runtime_now()));
        let (reason, advice) = (kind.as_str(), kind.advice());
        tracing::warn!(
            error = %failure, reason, advice,
            "no connection to the MQTT broker: pushes over MQTT wait; retrying"
        );
    }

    fn prepare(&mut self) {
        // Not on every attempt, because some brokers resume a session even for a clean start.
        let is_useless = self.useless_connections >= CLEAN_AFTER && !self.events.options.clean_start();
        let session = match (self.is_leaving, is_useless) {
            (true, _) => Session::Discard,
            (false, true) => Session::Restart,
            (false, false) => Session::Resume,
        };
        let number = self.link.borrow().number;
        session::prepare(&mut self.events, number, session);
    }

    /// Leaves the old client id. The session was discarded and ends with this connection, so that the broker keeps
    /// nothing for a client id that may be unused.
    fn leave(&mut self) {
        self.events.clean();
        self.is_leaving = false;
        self.begin_link(None);
        self.rename();
        self.prepare();
    }

    /// Changes the client id: two processes with the same client id would end each other's connections forever.
    fn rename(&mut self) {
        (self.useless_connections, self.short_connections) = (0, 0);
        self.backoff.reset();
        let client_id = super::client_id(random::uuid());
        tracing::error!(
            client_id,
            "connecting to the MQTT broker under another client id, since another process seems to use this one; each \
             node needs a data directory of its own, not a copy"
        );
        self.events.options.set_client_id(client_id);
    }
}
