//! Background tasks that fail are named by readiness, are restarted, and work again.

use serde_json::json;
use slipway::supervision::Fault;

use super::harness::{
    Answer, CHUKU, DEADLINE, Merchant, TestApp, check_fields, in_tenant, push_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

/// Tasks that must run for checks to be correct.
const ESSENTIAL: [&str; 2] = ["catalog_follower", "device_token_follower"];
/// Tasks of every node. A node with a broker has more.
const TASKS: [&str; 20] = [
    "adoption_history",
    "artifact_jobs",
    "artifact_store_watch",
    "catalog_follower",
    "delivery_writer",
    "device_changes",
    "device_record_writer",
    "device_token_follower",
    "hint_listener",
    "hint_sender",
    "housekeeping",
    "key_use_writer",
    "lockouts",
    "metrics_upkeep",
    "presence_writer",
    "push_expiry",
    "push_follower",
    "snapshot_journal",
    "snapshot_writer",
    "write_health",
];

struct Node {
    app: TestApp,
    merchant: Merchant,
    _data: tempfile::TempDir,
}

impl Node {
    async fn start(database: TestDatabase) -> Self {
        let data = tempfile::TempDir::new().unwrap();
        let app = TestApp::start_with(database, |config| {
            data.path().clone_into(&mut config.data_dir);
            config.snapshot_interval_s = 300;
        })
        .await;
        let merchant = app.merchant().await;
        Self {
            app,
            merchant,
            _data: data,
        }
    }

    async fn readiness(&self) -> Answer {
        self.app.anyone().get("/readyz").await
    }

    fn fail(&self, task: &str, fault: Fault) {
        assert!(
            self.app.running.context.node().tasks.inject(task, fault),
            "{task}"
        );
    }

    async fn readiness_once(&self, what: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = None;
        until(what, DEADLINE, async || {
            let answer = self.readiness().await;
            let is_so = is_so(&answer);
            last = Some(answer);
            is_so
        })
        .await;
        last.unwrap()
    }

    /// Verifies the work of the tasks: a recall is served, a check is recorded, a push reaches its device.
    async fn works(&self, round: i64) {
        let merchant = &self.merchant;
        let release = merchant.published(CHUKU, round).await;
        assert_eq!(merchant.offered(0).await, [round]);
        merchant.recall(&release, "stop").await.expect(200);
        assert!(merchant.offered(0).await.is_empty());

        let device = format!("device-{round}");
        let check = with(check_fields(), json!({"device_id": device}));
        merchant.device.post("/v1/check", &check).await.expect(200);
        let path = in_tenant(&format!("/devices/{device}"));
        until("the check is recorded", DEADLINE, async || {
            merchant.admin.get(&path).await.status == 200
        })
        .await;
        let enrolment = json!({"device_id": device, "project_id": "stores"});
        let enrolled = merchant.device.post("/v1/devices", &enrolment).await;
        let own = self.app.bearer(enrolled.body["device_token"].as_str().unwrap());
        let path = in_tenant("/pushes");
        let pushed = merchant
            .admin
            .post(&path, &push_fields(&[&device]))
            .await
            .expect(201);
        let poll = format!("/v1/devices/{device}/pushes?wait_s=30");
        let polled = own.get(&poll).await.expect(200);
        assert_eq!(polled["items"][0]["push_id"], pushed["id"], "{polled}");
    }
}

async fn every_task_that_fails_is_named_and_works_again(database: TestDatabase) {
    let node = Node::start(database).await;
    let names = node.app.running.context.node().tasks.names();
    assert_eq!(names, TASKS);
    for (round, fault) in [(1, Fault::Panic), (2, Fault::Return)] {
        for task in TASKS {
            node.fail(task, fault);
        }
        let down = |answer: &Answer| answer.body["tasks_down"].as_array().map_or(0, Vec::len);
        let answer = node
            .readiness_once("all tasks are down", |answer| down(answer) == TASKS.len())
            .await;
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (503, Some("unready"))
        );
        assert_eq!(answer.body["tasks_down"], json!(TASKS));
        node.readiness_once("all tasks run again", |answer| down(answer) == 0)
            .await
            .expect(200);
        node.works(round).await;
    }
    let metrics = node.app.anyone().get("/metrics").await.text;
    for task in TASKS {
        let sample = format!("slipway_task_restarts_total{{task=\"{task}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&sample));
        // Other servers of this process use the same counter.
        assert!(count.unwrap().parse::<u64>().unwrap() >= 2, "{task}");
    }
}

async fn a_node_is_unready_where_checks_could_be_wrong_and_else_degraded(database: TestDatabase) {
    let node = Node::start(database).await;
    for (task, status, code) in [
        (ESSENTIAL[0], "unready", 503),
        ("push_follower", "degraded", 200),
        (ESSENTIAL[1], "unready", 503),
        ("housekeeping", "degraded", 200),
    ] {
        node.fail(task, Fault::Panic);
        let answer = node
            .readiness_once(task, |answer| answer.body["tasks_down"] == json!([task]))
            .await;
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (code, Some(status)),
            "{task}"
        );
        let answer = node
            .readiness_once(task, |answer| answer.body["tasks_down"] == json!([]))
            .await;
        assert_eq!(answer.body["status"], "ready");
    }
}

on_both_databases![
    every_task_that_fails_is_named_and_works_again,
    a_node_is_unready_where_checks_could_be_wrong_and_else_degraded,
];
