//! The connection's task: it connects, reconnects after a while, and hands on the messages that arrive.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics::{Counter, counter};
use rumqttc::{ConnAck, Event, EventLoop, NoticeFailureReason, Packet, Publish, QoS, SubAck};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::failure::{Failure, FailureKind};
use super::session::Session;
use super::subscription::{Step, Subscription};
use super::{Broker, Received, UNCONFIRMED, session};
use crate::backoff::Backoff;

/// While there is no connection, the log repeats why after this long.
const LOG_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// After so many connections in a row that ended before they served, the session at the broker may be the cause, and is
/// discarded.
const CLEAN_AFTER: u32 = 4;
/// After so many in a row that served and soon ended while the broker kept the session, another process probably uses the
/// same client id: not every broker says so.
const RENAME_AFTER: u32 = 4;

/// The state of the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Another one for each connection, and for the time without one.
    pub(super) number: u64,
    /// Connected, and the broker has answered the subscription.
    pub(super) is_ready: bool,
    /// The broker granted the subscription.
    pub(super) is_subscribed: bool,
    /// The largest packet that the broker takes, in bytes.
    pub(super) largest_packet: Option<u32>,
}

/// A connection to the broker.
pub struct Connection {
    broker: Broker,
    events: EventLoop,
    link: watch::Sender<Link>,
    received: mpsc::Sender<Received>,
    lost: Counter,
    subscription: Subscription,
    connected_at: Option<Instant>,
    /// Connections in a row that ended before they served.
    useless_connections: u32,
    /// Connections in a row that served and soon ended.
    short_connections: u32,
    /// The next connection only discards the session, since this node changes its client id.
    is_leaving: bool,
    backoff: Backoff,
    logged: Option<(FailureKind, Instant)>,
}

impl Connection {
    pub(super) fn new(
        broker: Broker,
        events: EventLoop,
        (link, received): (watch::Sender<Link>, mpsc::Sender<Received>),
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

    /// Runs until it is told to disconnect.
    pub async fn run(&mut self) {
        let has_run_before = self.link.borrow().number > 0;
        if has_run_before {
            // That run may have stopped anywhere in the protocol.
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

    /// The next event of the connection, while the subscription is seen to.
    async fn next_event(&mut self) -> Result<Event, Failure> {
        let mut event = pin!(self.events.poll());
        loop {
            tokio::select! {
                biased;
                event = &mut event => return event.map_err(Failure::Client),
                step = self.subscription.step(&self.broker.timing) => match step {
                    Step::GiveUp => return Err(Failure::Unanswered("the subscription")),
                    Step::Request => self.subscription.request(&self.broker),
                },
                () = self.broker.silence.notified(), if self.connected_at.is_some() => {
                    return Err(Failure::Unanswered("a publish"));
                }
            }
        }
    }

    /// From now on messages of the link before cannot be confirmed.
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
        self.connected_at = Some(Instant::now());
        // What was not answered over the link before says nothing about this one.
        let _ = self.broker.silence.notified().now_or_never();
        if !answer.session_present {
            self.short_connections = 0;
        }
        let session = if answer.session_present { "resumed" } else { "new" };
        counter!("slipway_mqtt_connections_total", "session" => session).increment(1);
        tracing::info!(session, "connected to the MQTT broker");
        self.subscription.request(&self.broker);
    }

    /// Only now the node is ready for the acknowledgements of what it publishes.
    fn subscribed(&mut self, answer: &SubAck) {
        let is_granted = self.subscription.answered(answer);
        if is_granted {
            tracing::info!(filter = self.broker.filter, "subscribed at the MQTT broker");
        } else {
            tracing::error!(
                answer = ?answer.return_codes, filter = self.broker.filter,
                "the MQTT broker refuses the subscription: devices' acknowledgements over MQTT do not arrive; check the \
                 broker's access rules; the subscription is tried again"
            );
        }
        self.logged = None;
        self.link.send_modify(|link| {
            link.is_ready = true;
            link.is_subscribed = is_granted;
        });
    }

    fn receive(&self, publish: Publish) {
        // There is always room for what the broker waits for.
        let has_room = publish.qos != QoS::AtMostOnce || self.received.capacity() > usize::from(UNCONFIRMED);
        let received = Received::new(publish, &self.broker);
        if !has_room || self.received.try_send(received).is_err() {
            self.lost.increment(1);
        }
    }

    /// Publishers learn that what the broker has not acknowledged by now is lost, and begin again.
    fn disconnected(&mut self, failure: &Failure) {
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

    fn log(&mut self, failure: &Failure, kind: FailureKind, was_connected: bool) {
        let is_repeat = self
            .logged
            .is_some_and(|(logged, at)| logged == kind && at.elapsed() < LOG_AGAIN_AFTER);
        if is_repeat && !was_connected {
            tracing::debug!(error = %failure, "still no connection to the MQTT broker");
            return;
        }
        self.logged = Some((kind, Instant::now()));
        let (reason, advice) = (kind.as_str(), kind.advice());
        tracing::warn!(
            error = %failure, reason, advice,
            "no connection to the MQTT broker: pushes over MQTT wait; it is tried again"
        );
    }

    fn prepare(&mut self) {
        // Now and then, since the broker may be one that resumes sessions whatever it is asked for.
        let is_useless = self.useless_connections >= CLEAN_AFTER && !self.events.options.clean_start();
        let session = match (self.is_leaving, is_useless) {
            (true, _) => Session::Discard,
            (false, true) => Session::Restart,
            (false, false) => Session::Resume,
        };
        let number = self.link.borrow().number;
        session::prepare(&mut self.events, number, session);
    }

    /// The session was discarded, and ends with this connection: the broker keeps nothing for a client id that perhaps
    /// nobody has.
    fn leave(&mut self) {
        self.events.clean();
        self.is_leaving = false;
        self.begin_link(None);
        self.rename();
        self.prepare();
    }

    /// Two processes under one client id would end each other's connections for ever.
    fn rename(&mut self) {
        (self.useless_connections, self.short_connections) = (0, 0);
        self.backoff.reset();
        let client_id = super::client_id(Uuid::new_v4());
        tracing::error!(
            client_id,
            "connecting to the MQTT broker under another client id, since another process seems to use this one; each \
             node needs a data directory of its own, not a copy"
        );
        self.events.options.set_client_id(client_id);
    }
}
