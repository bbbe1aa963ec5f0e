//! `EventSource` during a rolling restart: an unmodified client, two nodes behind a load balancer, and continuous
//! pushes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use slipway_test_support::balancer::Balancer;
use slipway_test_support::cluster::Cluster;
use slipway_test_support::node::NodeProcess;
use slipway_test_support::wait::until;

use super::installed;
use crate::api::harness::{TENANT, in_tenant};

const DEVICES: usize = 6;
const PROJECT: &str = "stores";
const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE_BETWEEN_PUSHES: Duration = Duration::from_millis(100);

/// Two nodes on one database behind a load balancer.
struct Installation {
    nodes: Vec<NodeProcess>,
    balancer: Balancer,
    http: Client,
    token: String,
    /// Keeps the database alive.
    _cluster: Cluster,
}

impl Installation {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let mut nodes = Vec::new();
        for number in 0..2 {
            nodes.push(NodeProcess::start(number, cluster.target.clone(), Vec::new()).await);
        }
        Self {
            balancer: Balancer::start(nodes.iter().map(NodeProcess::address).collect()).await,
            // Each call may reach another node.
            http: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            token: nodes[0].sign_in().await,
            nodes,
            _cluster: cluster,
        }
    }

    /// Repeats a call until it succeeds.
    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Value {
        let mut answer = Value::Null;
        until(path, DEADLINE, async || {
            let url = format!("{}{path}", self.balancer.url());
            let mut request = self.http.request(method.clone(), url).bearer_auth(token);
            if !body.is_null() {
                request = request.json(body);
            }
            let Ok(response) = request.send().await else {
                return false;
            };
            let is_success = response.status().is_success();
            answer = response.json().await.unwrap_or_default();
            is_success
        })
        .await;
        answer
    }

    /// Creates a tenant and enrols its devices. Returns their tokens.
    async fn enrol_devices(&self) -> Vec<(String, String)> {
        let post =
            async |path: &str, token: &str, body: Value| self.call(Method::POST, path, token, &body).await;
        let tenant = json!({"id": TENANT, "name": "A tenant"});
        post("/api/v1/tenants", &self.token, tenant).await;
        let name = json!({"name": "devices"});
        let made = post(&in_tenant("/device-keys"), &self.token, name).await;
        let device_key = made["device_key"].as_str().unwrap();
        let mut devices = Vec::new();
        for number in 0..DEVICES {
            let id = format!("PDA{number}");
            let enrolment = json!({"device_id": id, "project_id": PROJECT});
            let enrolled = post("/v1/devices", device_key, enrolment).await;
            devices.push((id, enrolled["device_token"].as_str().unwrap().to_owned()));
        }
        devices
    }

    /// Sends a push to every device and returns its id.
    async fn push(&self, number: usize) -> String {
        let targets: Vec<_> = (0..DEVICES)
            .map(|device| json!({"hardware_id": format!("PDA{device}"), "project_id": PROJECT}))
            .collect();
        let push = json!({
            "target_info": targets,
            "package_push_info": {"pack_url": "https://files.example/1.zip", "app_type": "tinyApp", "app_id": "1"},
            "action": "preview",
            "trace_id": format!("build-{number}"),
        });
        let sent = self
            .call(Method::POST, &in_tenant("/pushes"), &self.token, &push)
            .await;
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Sends pushes until it is told to stop. Returns their ids.
    async fn push_until(&self, is_over: &AtomicBool) -> Vec<String> {
        let mut pushes = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            pushes.push(self.push(pushes.len()).await);
            tokio::time::sleep(PAUSE_BETWEEN_PUSHES).await;
        }
        pushes
    }

    /// Restarts one node after the other. Each must serve a stream again before the next one stops.
    async fn restart_in_turn(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            node.stop().await;
            node.start_again().await;
            self.balancer.replace(index, node.address());
            until("every device reconnects", DEADLINE, async || {
                self.all_are_connected().await
            })
            .await;
        }
    }

    async fn all_are_connected(&self) -> bool {
        let path = in_tenant("/devices");
        let listed = self.call(Method::GET, &path, &self.token, &Value::Null).await;
        let devices = listed["items"].as_array().unwrap();
        devices.len() == DEVICES && devices.iter().all(|device| device["connected"] == true)
    }
}

/// The client as a process, and its output lines. Killed when dropped.
struct EventSourceProcess {
    process: Child,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl EventSourceProcess {
    fn start(url: &str, devices: &[(String, String)]) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk_clients/events.js");
        let mut process = Command::new("node")
            .env("NODE_PATH", installed().join("node_modules"))
            .arg(program)
            .arg(url)
            .args(devices.iter().map(|(device, token)| format!("{device}={token}")))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let printed = lines.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                printed.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, lines }
    }

    fn lines_where(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| is_wanted(line)).cloned().collect()
    }

    /// Returns the received pushes, each with its device.
    fn received(&self) -> BTreeSet<(String, String)> {
        let lines = self.lines.lock().unwrap();
        let text = |value: &Value| Some(value.as_str()?.to_owned());
        lines
            .iter()
            .filter_map(|line| Some((text(&line["device"])?, text(&line["push"])?)))
            .collect()
    }
}

impl Drop for EventSourceProcess {
    fn drop(&mut self) {
        // Ignores the error of a process that has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn event_source_loses_no_push_over_a_rolling_restart() {
    let installation = Installation::start().await;
    let devices = installation.enrol_devices().await;
    let client = EventSourceProcess::start(installation.balancer.url(), &devices);
    until("every device connects", DEADLINE, async || {
        installation.all_are_connected().await
    })
    .await;

    let is_over = AtomicBool::new(false);
    let restart = async {
        installation.restart_in_turn().await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (pushes, ()) = tokio::join!(installation.push_until(&is_over), restart);

    let sent: BTreeSet<_> = devices
        .iter()
        .flat_map(|(device, _)| pushes.iter().map(|push| (device.clone(), push.clone())))
        .collect();
    let closed = || client.lines_where(|line| line["closed"] == true);
    until(
        "every push arrives, unless a client gives up",
        DEADLINE,
        async || client.received() == sent || !closed().is_empty(),
    )
    .await;
    assert_eq!(closed(), Vec::<Value>::new(), "no EventSource closes for good");
    assert_eq!(client.received(), sent);
    for (device, _) in &devices {
        let opened = client.lines_where(|line| line["device"] == device.as_str() && line["opened"] == true);
        assert!(opened.len() > 1, "the restarts ended a stream of {device}");
    }
}
