//! Time from accepting a push to its arrival at the device, by channel, at a constant rate of pushes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use super::Fixture;
use super::publish::sign_in;
use crate::connection::Connection;
use crate::devices::{Device, Events, PROJECT, TENANT, enrol};
use crate::measure::percentile;
use crate::node::{Node, Setup};
use crate::report::Report;
use slipway_test_support::mosquitto::Mosquitto;

/// Pushes per second, each to one device.
const RATE: usize = 200;
/// Number of devices. Each receives one push per second.
const DEVICES: usize = RATE;
const SENDING_CONNECTIONS: usize = 16;
/// Number of pushes at the beginning that are not counted.
const WARM_UP: usize = RATE;
const POLL_WAIT_S: u32 = 1;
/// Time without any arrival after which the remaining pushes count as lost.
const ARRIVE_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy)]
enum Channel {
    Events,
    Poll,
    Mqtt,
}

/// A push that arrived at a device.
struct Arrival {
    push_id: String,
    /// Time at which the server accepted the push, in microseconds since the epoch.
    accepted_us: i64,
    arrived_us: i64,
}

/// Shared parameters of the devices of a measurement.
#[derive(Clone)]
struct DeviceSetup<'a> {
    node: SocketAddr,
    broker: SocketAddr,
    arrivals: Sender<Arrival>,
    is_over: &'a AtomicBool,
}

pub(super) fn measure(fixture: &Fixture, report: &mut Report) -> anyhow::Result<()> {
    let broker = Mosquitto::open();
    let broker_url = broker.url();
    let node = Node::start(Setup {
        database_url: &fixture.large.url,
        settings: &[("SLIPWAY_MQTT_URL", &broker_url)],
        ..Setup::default()
    })?;
    for (channel, name) in [
        (Channel::Events, "events"),
        (Channel::Poll, "poll"),
        (Channel::Mqtt, "mqtt"),
    ] {
        let devices = enrol(node.address, name, DEVICES)?;
        let mut times = measure_channel(&node, &broker, (channel, &devices), fixture.plan.pushes)?;
        times.sort_by(f64::total_cmp);
        report.note(format!(
            "From accepting a push to its device over {name}, at {RATE} pushes/s: median {:.1} ms, p99 {:.1} ms, \
             longest {:.1} ms ({} pushes to {DEVICES} devices, all arrived).",
            percentile(&times, 50.0),
            percentile(&times, 99.0),
            percentile(&times, 100.0),
            times.len(),
        ));
    }
    Ok(())
}

/// Returns the delivery time of each push, in milliseconds.
fn measure_channel(
    node: &Node,
    broker: &Mosquitto,
    (channel_of, devices): (Channel, &[Device]),
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let is_over = AtomicBool::new(false);
    let (arrivals, arrived) = channel();
    let device_setup = DeviceSetup {
        node: node.address,
        broker: SocketAddr::from(([127, 0, 0, 1], broker.port())),
        arrivals,
        is_over: &is_over,
    };
    let token = sign_in(node.address)?;
    thread::scope(|scope| {
        let living: Vec<_> = devices
            .iter()
            .map(|device| {
                let device_setup = device_setup.clone();
                scope.spawn(move || match channel_of {
                    Channel::Events => listen(&device_setup, device),
                    Channel::Poll => poll(&device_setup, device),
                    Channel::Mqtt => subscribe(&device_setup, device),
                })
            })
            .collect();
        // Waits until every device is connected.
        thread::sleep(Duration::from_secs(3));
        let total = count + WARM_UP;
        let sent = send(node.address, &token, devices, total);
        let times = sent.and_then(|()| collect(&arrived, total));
        is_over.store(true, Ordering::Relaxed);
        // A stream notices the end of the measurement at its next event.
        let last = send(node.address, &token, devices, devices.len());
        for device in living {
            device.join().expect("a device does not panic")?;
        }
        last?;
        times
    })
}

/// Sends pushes to the devices in turn, at a constant rate.
fn send(address: SocketAddr, token: &str, devices: &[Device], count: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDING_CONNECTIONS)
            .map(|sender| {
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut connection = Connection::open(address)?;
                    let path = format!("/api/v1/tenants/{}/pushes", TENANT.number());
                    for number in (sender..count).step_by(SENDING_CONNECTIONS) {
                        let due = began + Duration::from_secs_f64(number as f64 / RATE as f64);
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let body = push_to(&devices[number % devices.len()]);
                        let answer = connection.post(&path, Some(token), &body)?;
                        ensure!(answer.status == 201, "a push was answered with {}", answer.status);
                    }
                    Ok(())
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("a sender does not panic")?;
        }
        let took = began.elapsed().as_secs_f64();
        let rate = count as f64 / took;
        ensure!(
            rate > 0.9 * RATE as f64,
            "the server takes {rate:.0} pushes/s only"
        );
        Ok(())
    })
}

fn push_to(device: &Device) -> Value {
    json!({
        "target_info": [{"hardware_id": device.id, "project_id": PROJECT}],
        "package_push_info": {
            "app_id": "2021001",
            "app_type": "tinyApp",
            "pack_url": "https://files.example/demo.amr",
        },
        "action": "preview",
    })
}

/// Waits until this number of pushes has arrived. Repeated deliveries count once.
fn collect(arrived: &Receiver<Arrival>, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let arrival = arrived
            .recv_timeout(ARRIVE_WITHIN)
            .with_context(|| format!("{} of {count} pushes did not arrive", count - all.len()))?;
        if seen.insert(arrival.push_id) {
            all.push((arrival.accepted_us, arrival.arrived_us));
        }
    }
    all.sort_unstable();
    let counted = all.into_iter().skip(WARM_UP);
    Ok(counted
        .map(|(accepted, arrived)| (arrived - accepted) as f64 / 1e3)
        .collect())
}

impl DeviceSetup<'_> {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Records a received push and acknowledges it.
    fn take(&self, device: &Device, push: &Value) -> anyhow::Result<()> {
        let arrived_us = now_us()?;
        let text = |member: &str| {
            push[member]
                .as_str()
                .with_context(|| format!("no {member}: {push}"))
        };
        let accepted = chrono::DateTime::parse_from_rfc3339(text("created_at")?)?;
        let push_id = text("push_id")?.to_owned();
        let path = format!("/v1/devices/{}/pushes/{push_id}/ack", device.id);
        // The collector may have ended.
        let _ = self.arrivals.send(Arrival {
            push_id,
            accepted_us: accepted.timestamp_micros(),
            arrived_us,
        });
        // The server closes a connection that is idle for some seconds.
        let answer =
            Connection::open(self.node)?.post(&path, Some(&device.token), &json!({"state": "received"}))?;
        ensure!(
            answer.status == 200,
            "an acknowledgement was answered with {}",
            answer.status
        );
        Ok(())
    }
}

fn listen(device_setup: &DeviceSetup<'_>, device: &Device) -> anyhow::Result<()> {
    let mut events = Events::open(device_setup.node, device)?;
    while !device_setup.is_over() {
        let push = serde_json::from_str(&events.data()?)?;
        device_setup.take(device, &push)?;
    }
    Ok(())
}

fn poll(device_setup: &DeviceSetup<'_>, device: &Device) -> anyhow::Result<()> {
    let mut polling = Connection::open(device_setup.node)?;
    let request = format!(
        "GET /v1/devices/{}/pushes?wait_s={POLL_WAIT_S} HTTP/1.1\r\nHost: slipway.example\r\n\
         Authorization: Bearer {}\r\n\r\n",
        device.id, device.token
    );
    while !device_setup.is_over() {
        let answer = polling.send(request.as_bytes())?;
        ensure!(answer.status == 200, "a poll was answered with {}", answer.status);
        for push in answer.json()?["items"].as_array().into_iter().flatten() {
            device_setup.take(device, push)?;
        }
    }
    Ok(())
}

fn subscribe(device_setup: &DeviceSetup<'_>, device: &Device) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let broker = ("127.0.0.1", device_setup.broker.port());
        let options = MqttOptions::new(device.id.clone(), broker);
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        let topic = format!("slipway/{}/devices/{}/pushes", TENANT.number(), device.id);
        while !device_setup.is_over() {
            match events.poll().await? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    client.try_subscribe(topic.as_str(), QoS::AtLeastOnce)?;
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let push = serde_json::from_slice(&publish.payload)?;
                    device_setup.take(device, &push)?;
                }
                _ => {}
            }
        }
        Ok(())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the real clock of a real server"
)]
fn now_us() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_micros())?)
}
