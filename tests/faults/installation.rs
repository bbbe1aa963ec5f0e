//! Three nodes, a database, and tenants with their credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::device::ask;
use super::history::{History, Pair};
use super::node::Node;
use super::plan::APPS;
use slipway_test_support::cluster::Cluster;
use slipway_test_support::event_log::EventLog;
use slipway_test_support::wait::{comes_true, until};

const NODES: usize = 3;
const TENANTS: i64 = 5;
const SET_UP_WITHIN: Duration = Duration::from_mins(1);

pub(super) struct Installation {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) history: History,
    /// Stops the devices.
    pub(super) is_over: AtomicBool,
    /// Number of compared answers.
    pub(super) verified: AtomicU64,
    /// Number of answers that are waiting for the database to be compared.
    pub(super) unverified: AtomicUsize,
    event_log: EventLog,
}

pub(super) struct Tenant {
    pub(super) id: i64,
    pub(super) device_key: String,
    /// API token of an administrator.
    pub(super) token: String,
}

impl Installation {
    pub(super) async fn start(cluster: &Cluster) -> Self {
        let first = Arc::new(Node::start(0, cluster.target.clone()).await);
        let history = History::begin(cluster.pool()).await;
        let mut nodes = vec![first.clone()];
        for number in 1..NODES {
            nodes.push(Arc::new(Node::start(number, cluster.target.clone()).await));
        }
        let platform = first.sign_in().await;
        let mut tenants = Vec::new();
        for number in 1..=TENANTS {
            tenants.push(Tenant::make(&first, &platform, number).await);
        }
        let installation = Self {
            nodes,
            tenants,
            history,
            is_over: AtomicBool::new(false),
            verified: AtomicU64::new(0),
            unverified: AtomicUsize::new(0),
            event_log: EventLog::new(),
        };
        until("every node knows every tenant", SET_UP_WITHIN, async || {
            let current = installation.history.current().await;
            installation.differing(&current).await.is_empty()
        })
        .await;
        installation
    }

    pub(super) fn log(&self, event: &str) {
        self.event_log.log(event);
    }

    pub(super) fn report(&self, failure: String) {
        self.event_log.report(failure);
    }

    pub(super) fn has_no_failures(&self) -> bool {
        self.event_log.has_no_failures()
    }

    /// Returns the events and the last log lines of the nodes, for the message of a failed run.
    pub(super) fn event_log(&self) -> String {
        self.event_log.dump(self.nodes.iter().map(|node| &***node))
    }

    /// Waits until every running node serves the state of the database.
    pub(super) async fn converge(&self, within: Duration) {
        let current = self.history.current().await;
        let mut differing = Vec::new();
        let are_equal = comes_true(within, async || {
            differing = self.differing(&current).await;
            differing.is_empty()
        })
        .await;
        if !are_equal {
            self.report(format!(
                "after {within:?} nodes differ from the database: {differing:?}"
            ));
        }
    }

    /// Describes the nodes whose state differs from that of the database.
    async fn differing(&self, current: &BTreeMap<i64, Pair>) -> Vec<String> {
        let mut differing = Vec::new();
        for node in &self.nodes {
            for tenant in &self.tenants {
                let request = json!({"package_name": APPS[0], "version_code": 1, "device_id": "PDA1"});
                let serves = ask(node, tenant, request)
                    .await
                    .ok()
                    .flatten()
                    .map(|seen| seen.pair);
                if serves.as_ref() != current.get(&tenant.id) {
                    differing.push(format!(
                        "node {} has {serves:?} of tenant {}",
                        node.number, tenant.id
                    ));
                }
            }
        }
        differing
    }

    /// Waits until all answers so far have been compared.
    pub(super) async fn catch_up_with_verifying(&self) {
        until("every answer is compared", Duration::from_mins(2), async || {
            self.unverified.load(Ordering::Relaxed) == 0
        })
        .await;
    }
}

impl Tenant {
    async fn make(node: &Node, platform: &str, number: i64) -> Self {
        let id = 10_000_000 + number;
        let post = async |path: &str, body: Value| {
            let answer = node
                .call(Method::POST, path, Some(platform), &body, SET_UP_WITHIN)
                .await
                .unwrap();
            assert_eq!(answer.status, 201, "{path}: {}", answer.body);
            answer.body
        };
        let own = format!("/api/v1/tenants/{id}");
        post(
            "/api/v1/tenants",
            json!({"id": id, "name": format!("Tenant {number}")}),
        )
        .await;
        let key = post(&format!("{own}/device-keys"), json!({"name": "devices"})).await;
        let token = post(
            &format!("{own}/api-tokens"),
            json!({"name": "runner", "role": "admin"}),
        )
        .await;
        Self {
            id,
            device_key: key["device_key"].as_str().unwrap().to_owned(),
            token: token["token"].as_str().unwrap().to_owned(),
        }
    }
}
