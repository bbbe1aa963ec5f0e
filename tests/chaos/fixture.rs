//! Environment of a chaos run: PostgreSQL, a broker, two nodes with proxies around each, and devices with tokens.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::plan::{Fault, Step};
use slipway_test_support::cluster::Cluster;
use slipway_test_support::event_log::EventLog;
use slipway_test_support::mosquitto::Mosquitto;
use slipway_test_support::node::NodeProcess;
use slipway_test_support::proxy::{Endpoint, Mode, Proxy, Target};

pub(super) const NODES: usize = 2;
const TENANT: i64 = 10_000_000;
pub(super) const PROJECT: &str = "stores";
/// Lifetime of a preview in seconds.
const PREVIEW_LIFETIME_S: &str = "3";
const LIFETIME_S: &str = "86400";
/// Number of devices of each kind, their name prefix, and their channels.
const DEVICES: [(usize, &str, &[Channel]); 4] = [
    (4, "events", &[Channel::Events]),
    (4, "poll", &[Channel::Poll]),
    (4, "mqtt", &[Channel::Mqtt]),
    (2, "both", &[Channel::Mqtt, Channel::Poll]),
];
const SET_UP_WITHIN: Duration = Duration::from_mins(1);
/// Time limit of a call.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const SETTINGS: [(&str, &str); 6] = [
    ("SLIPWAY_PUSH_PREVIEW_LIFETIME_S", PREVIEW_LIFETIME_S),
    ("SLIPWAY_PUSH_LIFETIME_S", LIFETIME_S),
    ("SLIPWAY_PUSH_REDELIVERY_MS", "500"),
    ("SLIPWAY_PUSH_REDELIVERY_MAX_MS", "2000"),
    ("SLIPWAY_PUSH_HEARTBEAT_MS", "500"),
    ("SLIPWAY_DRAIN_S", "1"),
];

pub(super) struct Fixture {
    pub(super) devices: Vec<DeviceOnGround>,
    pub(super) event_log: EventLog,
    pub(super) broker: Mosquitto,
    nodes: Vec<Reachable>,
    cluster: Cluster,
    sender_token: String,
    http: Client,
    phase: watch::Sender<Phase>,
}

/// Channel by which a device receives its pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    Events,
    Poll,
    Mqtt,
}

pub(super) struct DeviceOnGround {
    pub(super) id: String,
    pub(super) channels: &'static [Channel],
    pub(super) token: String,
}

/// Phase of a run, which senders and devices follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Pushes are sent, and devices disconnect and answer late.
    Chaos,
    /// No more pushes. Devices stay connected and acknowledge.
    Calm,
    /// Everybody stops.
    Over,
}

/// A node, the proxy in front of it, and the proxy between it and the broker.
struct Reachable {
    process: NodeProcess,
    broker: Proxy,
    front: Proxy,
    /// Destination of the front proxy. It changes with each restart.
    target: Target,
}

impl Channel {
    pub(super) const ALL: [Self; 3] = [Self::Events, Self::Poll, Self::Mqtt];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Poll => "poll",
            Self::Mqtt => "mqtt",
        }
    }
}

impl DeviceOnGround {
    /// Returns true if the broker keeps the device's session. A device that also polls keeps it, so it receives missed
    /// pushes over both channels.
    pub(super) const fn keeps_session(&self) -> bool {
        self.channels.len() > 1
    }
}

impl Reachable {
    async fn start(number: usize, database: Target, broker: &Mosquitto) -> Self {
        let mut settings = SETTINGS.map(|(name, value)| (name, value.to_owned())).to_vec();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.port()));
        let broker = Proxy::start(Arc::new(Mutex::new(Endpoint::Address(address)))).await;
        settings.push(("SLIPWAY_MQTT_URL", format!("mqtt://127.0.0.1:{}", broker.port)));
        let process = NodeProcess::start(number, database, settings).await;
        let target = Arc::new(Mutex::new(Endpoint::Address(process.address())));
        Self {
            front: Proxy::start(target.clone()).await,
            process,
            broker,
            target,
        }
    }

    async fn start_again(&self) {
        self.process.start_again().await;
        *self.target.lock().unwrap() = Endpoint::Address(self.process.address());
    }
}

impl Fixture {
    pub(super) async fn prepare() -> Self {
        let cluster = Cluster::start().await;
        let broker = Mosquitto::open();
        let mut nodes = Vec::new();
        for number in 0..NODES {
            nodes.push(Reachable::start(number, cluster.target.clone(), &broker).await);
        }
        let first = &nodes[0].process;
        let platform = first.sign_in().await;
        let tenant = json!({"id": TENANT, "name": "A tenant"});
        create(first, &platform, "/api/v1/tenants", tenant).await;
        let key = json!({"name": "devices"});
        let key = create(first, &platform, &in_tenant("/device-keys"), key).await;
        let token = json!({"name": "sender", "role": "publisher"});
        let token = create(first, &platform, &in_tenant("/api-tokens"), token).await;
        let mut devices = Vec::new();
        for (count, name, channels) in DEVICES {
            for number in 1..=count {
                let id = format!("{name}-{number}");
                let body = json!({"device_id": id, "project_id": PROJECT});
                let enrolled = create(first, text(&key, "device_key"), "/v1/devices", body).await;
                let token = text(&enrolled, "device_token").to_owned();
                devices.push(DeviceOnGround { id, channels, token });
            }
        }
        Self {
            devices,
            event_log: EventLog::new(),
            broker,
            nodes,
            cluster,
            sender_token: text(&token, "token").to_owned(),
            // A pooled connection may have been cut.
            http: Client::builder()
                .pool_max_idle_per_host(0)
                .timeout(ANSWER_WITHIN)
                .build()
                .unwrap(),
            phase: watch::Sender::new(Phase::Chaos),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.event_log.log(&format!("{phase:?}"));
        self.phase.send_replace(phase);
    }

    /// Waits for a phase.
    pub(super) async fn comes(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        phases
            .wait_for(|now| *now >= phase)
            .await
            .expect("the fixture outlives the run");
    }

    /// Returns the public URL of a node.
    pub(super) fn url(&self, node: usize) -> String {
        format!("http://127.0.0.1:{}", self.nodes[node].front.port)
    }

    pub(super) fn dump(&self) -> String {
        self.event_log.dump(self.nodes.iter().map(|node| &node.process))
    }

    /// Makes a call of the sender; see [`Self::call`].
    pub(super) async fn send(
        &self,
        node: usize,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        self.call(node, method, &in_tenant(path), &self.sender_token, body)
            .await
    }

    /// Makes a call. Returns `None` if no answer arrives in time or the node is unavailable. Any other failure is
    /// reported, because the run makes no invalid calls.
    pub(super) async fn call(
        &self,
        node: usize,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.url(node));
        let mut request = self.http.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body = response.text().await.ok()?;
        match status {
            200 | 201 => Some((status, serde_json::from_str(&body).ok()?)),
            503 => None,
            _ => {
                self.event_log
                    .report(format!("node {node} answers {path} with {status}: {body}"));
                None
            }
        }
    }

    /// Starts the faults of a step, ends them, and waits for the step's calm.
    pub(super) async fn take(&self, step: &Step) {
        self.event_log
            .log(&format!("{:?} for {:?}", step.faults, step.lasts));
        join_all(step.faults.iter().map(|fault| self.break_(*fault))).await;
        tokio::time::sleep(step.lasts).await;
        join_all(step.faults.iter().map(|fault| self.mend(*fault))).await;
        self.event_log.log("mended");
        tokio::time::sleep(step.calm).await;
    }

    async fn break_(&self, fault: Fault) {
        match fault {
            Fault::KillNode(node) => self.nodes[node].process.kill(),
            Fault::StopNode(node) => self.nodes[node].process.stop().await,
            Fault::FreezeNode(node) => self.nodes[node].process.signal("STOP"),
            Fault::KillDatabase => self.cluster.crash(),
            Fault::KillBroker => self.broker.stop(),
            Fault::CutDatabase(node) => self.nodes[node].process.proxy.set(Mode::Refuse),
            Fault::CutCallers(node) => self.nodes[node].front.set(Mode::Refuse),
            Fault::SilenceCallers(node) => self.nodes[node].front.set(Mode::Silent),
            Fault::CutBroker(node) => self.nodes[node].broker.set(Mode::Refuse),
            Fault::SilenceBroker(node) => self.nodes[node].broker.set(Mode::Silent),
        }
    }

    async fn mend(&self, fault: Fault) {
        match fault {
            Fault::KillNode(node) | Fault::StopNode(node) => self.nodes[node].start_again().await,
            Fault::FreezeNode(node) => self.nodes[node].process.signal("CONT"),
            Fault::KillDatabase => self.cluster.restart().await,
            Fault::KillBroker => self.broker.start_again(),
            Fault::CutDatabase(node) => self.nodes[node].process.proxy.set(Mode::Open),
            Fault::CutCallers(node) | Fault::SilenceCallers(node) => self.nodes[node].front.set(Mode::Open),
            Fault::CutBroker(node) | Fault::SilenceBroker(node) => self.nodes[node].broker.set(Mode::Open),
        }
    }
}

fn in_tenant(path: &str) -> String {
    format!("/api/v1/tenants/{TENANT}{path}")
}

/// Returns a member that is a text.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is a text in {object}"))
}

async fn create(node: &NodeProcess, token: &str, path: &str, body: Value) -> Value {
    let answer = node
        .call(Method::POST, path, Some(token), &body, SET_UP_WITHIN)
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{path}: {}", answer.body);
    answer.body
}
